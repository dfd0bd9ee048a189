"""The page of an open version states what became of the rows that are published without a name."""

import re
from datetime import date
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.orchestration.pages import access, published
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.publishing.open_tier import derivation
from chengxin.settings import Settings
from publishing.government_drafts import NOW, TODAY, Draft


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Pages of a home with six shops, for somebody who may see all: only the sign-in is not Airflow's."""
    draft = Draft()
    for number in range(1, 7):
        draft.subject(number, "household", f"示例{number}号小吃店", part="4301")
        region = "430302" if number == 6 else f"43010{number}"
        draft.record("tax_non_normal", number, region_code=region, identified_on=date(2026, 3, number))
    home = Home(Settings(home=tmp_path, contracts=tmp_path / "contracts"), Clock(NOW))
    government = draft.publish(tmp_path)
    derivation.publish_open(home.layout, government, token_key=None, now=NOW, today=TODAY)
    app = FastAPI()
    app.state.index = HomeIndex(home)
    app.include_router(published.router)
    app.dependency_overrides[access.reader] = lambda: access.Reader("looker", None)
    app.state.open_version = f"/snapshots/open/{government.snapshot_id}"
    return TestClient(app)


def test_anonymous_rows_are_accounted_for_on_the_page(client):
    page = client.get(client.app.state.open_version).text
    rows = [part for part in page.split("<tr>") if 'class="dim">tax_non_normal_anonymous<' in part]
    # k, smallest class, shown, generalised, left out
    assert re.findall(r'number">([^<]+)<', rows[-1]) == ["5", "5", "5", "5", "1"]
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))
    assert "信用记录 6 条 = 开放 0 + 匿名公开 5 + 不开放的种类和主体、公示期外的记录 1" in text
