import json
from pathlib import Path

from chengxin.contracts.loader import load
from chengxin.model.kinds import kinds
from chengxin.publishing import catalogue, commit
from chengxin.publishing.open_tier import derivation
from chengxin.settings import PROJECT
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, companies


def contracts():
    return load(PROJECT / "dags" / "contracts").contracts


def published(home: Path) -> Layout:
    layout = Layout(home)
    draft = layout.drafts / "government"
    manifest = companies(2).manifest(draft)
    government = commit.commit(layout, manifest, draft, None, catalogue=catalogue.catalogue(contracts()))
    derivation.publish_open(layout, government, token_key=None, now=NOW, today=TODAY)
    return layout


def listed(layout: Layout, tier: str) -> dict[str, dict]:
    current = commit.current(layout, tier)
    body = json.loads((layout.snapshot(tier, current.snapshot_id) / "catalogue.json").read_bytes())
    assert body["tier"] == tier
    return {entry["id"]: entry for entry in body["datasets"]}


def test_every_contract_is_listed_with_owner_basis_and_titles(tmp_path):
    entries = listed(published(tmp_path), "government")
    assert set(entries) == set(contracts())
    for entry in entries.values():
        assert entry["department"]["name"] and entry["basis"] and entry["cadence"]
        assert entry["share"] in {"无条件", "有条件", "不予"}
        assert all(column["title"] for column in entry["columns"])


def test_sealed_data_sets_are_listed_without_table_and_columns(tmp_path):
    sealed = {c.id for c in contracts().values() if kinds()[c.kind].sealed or c.basis.share == "不予"}
    assert sealed
    for name, entry in listed(published(tmp_path), "government").items():
        assert (entry["table"] is None and entry["columns"] == []) == (name in sealed)


def test_open_catalogue_names_only_what_the_open_tier_has(tmp_path):
    layout = published(tmp_path)
    tables = commit.current(layout, "open").tables
    entries = listed(layout, "open")
    assert entries and {entry["table"] for entry in entries.values()} <= set(tables)
    for entry in entries.values():
        present = {column.name for column in tables[entry["table"]].schema}
        assert {column["name"] for column in entry["columns"]} <= present
