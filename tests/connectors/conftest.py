from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chengxin.contracts.models import Contract
from chengxin.settings import Settings
from http_sources import Desk
from servers import postgres


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def make_contract() -> Callable[..., Contract]:
    def make(
        connector: str = "file_drop", mode: str = "incremental", file: dict[str, Any] | None = None, **options: Any
    ):
        return Contract.model_validate(
            {
                "format": 1,
                "id": "tax_arrears",
                "title": "欠税公告",
                "department": {"code": "HN-TAX", "name": "省税务局"},
                "domain": "tax",
                "kind": "tax_arrears",
                "basis": {"legal": "税收征收管理法第四十五条", "share": "无条件"},
                "delivery": {"connector": connector, "mode": mode, "options": options},
                "file": file or {},
                "columns": [{"source": "纳税人名称", "element": "subject_name"}],
            }
        )

    return make


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed")
        yield url


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch, make_contract: Callable[..., Contract]) -> Iterator[Desk]:
    """A department's interface, with its environment and contract."""
    desk = Desk(settings, monkeypatch.setenv, make_contract)
    yield desk
    desk.close()
