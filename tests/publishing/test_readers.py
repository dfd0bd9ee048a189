"""The one-liners of docs/reading-the-data.md, run against a committed snapshot."""

import json
import re
from pathlib import Path

import pytest

from chengxin.model.schema import PROVENANCE
from chengxin.publishing.assembly.tables import FIXED
from chengxin.publishing.open_tier import derivation
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, add_companies, companies

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reading-the-data.md"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("readers")
    draft = companies(3)
    add_companies(draft, 2, first=50, part="4302")
    government = draft.publish(home)
    derivation.publish_open(Layout(home), government, token_key=b"k", now=NOW, today=TODAY)
    return home


def one_liners(tool: str) -> list[str]:
    """The code blocks of the page whose first line names the tool: `# duckdb`."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    found = [block for block in blocks if block.startswith(f"# {tool}\n")]
    assert found, f"{tool} is not in the page"
    return found


@pytest.mark.parametrize("tier", ["government", "open"])
@pytest.mark.parametrize("tool", ["DuckDB", "Polars", "pandas", "pyarrow"])
def test_documented_line_reads_the_whole_table(snapshot, tool, tier):
    layout = Layout(snapshot)
    current = json.loads(layout.pointer(tier).read_bytes())["snapshot_id"]
    folder = layout.snapshot(tier, current)
    for code in one_liners(tool):
        scope = {"folder": str(folder)}
        exec(code, scope)
        assert len(scope["rows"]) == 5, code


def test_every_column_that_the_kinds_share_is_explained():
    text = PAGE.read_text("utf-8")
    common = [c.name for columns in FIXED.values() for c in columns] + ["subject_token"]
    provenance = {c.name for c in PROVENANCE}
    asked = [c for c in dict.fromkeys(common) if c not in provenance]
    assert [c for c in asked if f"| `{c}`" not in text and f"`、`{c}`" not in text] == []


def test_documented_way_to_the_current_snapshot(snapshot):
    (code,) = one_liners("current")
    scope = {"home": str(snapshot), "tier": "government"}
    exec(code, scope)
    assert (Path(scope["folder"]) / "manifest.json").is_file()


def test_documented_reader_example(snapshot):
    (code,) = one_liners("chengxin")
    scope = {"home": str(snapshot)}
    exec(code, scope)
    assert scope["snapshot"].warnings == ()
    assert scope["company"].num_rows == 1
    assert "registration" in scope["everything"]


def test_page_names_every_table_of_the_registry(snapshot):
    text = PAGE.read_text("utf-8")
    for name in ("subject", "subject_identifier", "subject_name", "credit_record", "DAMAGED.json", "current.json"):
        assert f"`{name}`" in text
