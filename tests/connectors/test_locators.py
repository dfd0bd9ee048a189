"""Locators go through Airflow and receipts as JSON and come back as the shape that they were."""

import json
from datetime import UTC, datetime

import pytest

from chengxin.connectors.locators import (
    DatabaseLocator,
    Entry,
    FileLocator,
    HttpLocator,
    delivery_of,
    from_instant,
    locator_of,
)
from chengxin.facts import Delivery, Locator, as_json

FILE = Entry("a.csv", "a.csv", 12, 1.5, "12-1.5", 2.0)
LOCATORS = [
    FileLocator(folder="tax", files=(FILE,), manifest=FILE, path="a.csv", fingerprint="12-1.5", touched=2.0, seq=0),
    HttpLocator(live=True, pull=".pull-1", since=None, until="2026-12-01T00:00:00+00:00"),
    DatabaseLocator(live=True, undated=True, watermark="7", seen="x", behind=0),
    Locator(),
]


@pytest.mark.parametrize("locator", LOCATORS, ids=lambda locator: locator.connector or "none")
def test_a_delivery_comes_back_from_json(locator):
    given = Delivery("d", "a.csv", "file_drop:tax", datetime(2026, 12, 1, tzinfo=UTC), locator)
    assert delivery_of(json.loads(json.dumps(as_json(given)))) == given


@pytest.mark.parametrize("data", [{"connector": "pigeon"}, {"connector": "database", "cursor": 1}])
def test_what_no_shape_knows_is_no_locator(data):
    with pytest.raises((KeyError, TypeError)):
        locator_of(data)


def test_an_instant_is_where_pulls_begin_and_files_do_not():
    at = "2026-12-01T00:00:00+00:00"
    assert from_instant("http_api", at) == HttpLocator(server_time=at)
    assert from_instant("database", at) == DatabaseLocator(watermark=at)
    assert from_instant("file_drop", at) == Locator()
