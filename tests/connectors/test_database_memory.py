"""A table of more than a million rows is pulled in memory that does not depend on its size."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from chengxin.connectors import landing
from chengxin.home import Home
from chengxin.settings import Settings

pytestmark = pytest.mark.server
PULL = """
import re, sys
from pathlib import Path
from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.settings import Settings
contract = Contract.model_validate_json(Path(sys.argv[1]).read_bytes())
home = Home(Settings(home=Path(sys.argv[2])))
for delivery in landing.offered(home, contract):
    landing.land(home, contract, delivery)
# of this program alone: what getrusage tells begins with the process that forked it
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_mib(url: str, contract, rows: int, folder: Path) -> float:
    """Pull a table of so many rows in a process of its own; return the most memory that it held."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("CREATE TABLE many (k VARCHAR(20), 更新时间 VARCHAR(30), 名称 VARCHAR(200))")
        )
        connection.execute(sqlalchemy.text(
            "INSERT INTO many SELECT lpad(g::text, 18, '0'), to_char(timestamp '2026-01-01' + g * interval '10 s', "
            f"'YYYY-MM-DD HH24:MI:SS'), '湖南示例' || g || '有限公司' FROM generate_series(1, {rows}) g"
        ))  # fmt: skip
    (folder / "contract.json").write_text(contract.model_dump_json())
    try:
        done = subprocess.run(
            [sys.executable, "-c", PULL, folder / "contract.json", folder / f"home-{rows}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    finally:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DROP TABLE many"))
        engine.dispose()
    settings = Settings(home=folder / f"home-{rows}")
    [batch] = landing.batches(Home(settings), "tax_arrears")
    with landing.payload(Home(settings), batch)[0].open("rb") as landed:
        assert sum(1 for _ in landed) == rows + 1
    return int(done.stdout) / 1024


@pytest.mark.slow
def test_a_million_rows_take_no_more_memory_than_some(postgres_url, make_contract, tmp_path, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", postgres_url)
    options = {"connection": "staging", "table": "many", "key": "k", "watermark": "更新时间"}
    contract = make_contract("database", "incremental", **options)
    some, many = (peak_mib(postgres_url, contract, rows, tmp_path) for rows in (300_000, 1_200_000))
    assert many < 400
    assert many < some + 32
