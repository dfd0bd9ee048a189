"""The code samples of docs/analysts/ in both languages, run against a committed snapshot."""

import json
import re
from pathlib import Path

import pytest

from chengxin.model.schema import PROVENANCE
from chengxin.publishing.assembly.tables import FIXED
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import open_snapshot
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, add_companies, companies

ANALYSTS = Path(__file__).resolve().parents[2] / "docs" / "analysts"
LANGUAGES = ("zh", "en")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("readers")
    draft = companies(3)
    add_companies(draft, 2, first=50, part="4302")
    government = draft.publish(home)
    derivation.publish_open(Layout(home), government, token_key=b"k", now=NOW, today=TODAY)
    return home


@pytest.fixture(scope="module", params=LANGUAGES)
def page(request: pytest.FixtureRequest) -> str:
    return (ANALYSTS / f"{request.param}.md").read_text("utf-8")


def samples(page: str, language: str = "python") -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def sample(page: str, tool: str) -> str:
    """The code block whose first line names the tool: `# DuckDB`."""
    (found,) = [block for block in samples(page) if block.startswith(f"# {tool}\n")]
    return found


@pytest.mark.parametrize("tier", ["government", "open"])
@pytest.mark.parametrize("tool", ["DuckDB", "Polars", "pandas", "pyarrow"])
def test_documented_line_reads_the_whole_table(snapshot, page, tool, tier):
    layout = Layout(snapshot)
    current = json.loads(layout.pointer(tier).read_bytes())["snapshot_id"]
    code = sample(page, tool)
    scope = {"folder": str(layout.snapshot(tier, current))}
    exec(code, scope)
    assert len(scope["rows"]) == 5, code


def test_documented_way_to_the_current_snapshot(snapshot, page):
    scope = {"home": str(snapshot), "tier": "government"}
    exec(sample(page, "current"), scope)
    assert (Path(scope["folder"]) / "manifest.json").is_file()


def test_documented_reader_example(snapshot, page):
    scope = {"home": str(snapshot)}
    exec(sample(page, "chengxin"), scope)
    assert scope["snapshot"].warnings == ()
    assert scope["company"].num_rows == 1
    assert "registration" in scope["everything"]


def test_documented_join_finds_each_record_once(snapshot, page):
    (code,) = samples(page, "sql")
    with open_snapshot(snapshot, tier="open").connect() as connection:
        rows = connection.sql(code.replace("dishonest_person", "registration")).fetchall()
    assert len(rows) == 5


def test_both_languages_have_the_same_samples():
    def code(language: str) -> list[str]:
        text = (ANALYSTS / f"{language}.md").read_text("utf-8")
        return [block.replace("<表>", "<table>") for block in samples(text) + samples(text, "sql")]

    assert code("zh") == code("en")
    # The remaining three: Spark is not installed; test_history.py runs one;
    # the DAG runs in tests/end_to_end/test_airflow_operations.py.
    assert len(code("zh")) == 10


def test_every_column_that_the_kinds_share_is_explained(page):
    common = [c.name for columns in FIXED.values() for c in columns] + ["subject_token"]
    provenance = {c.name for c in PROVENANCE}
    asked = [c for c in dict.fromkeys(common) if c not in provenance]
    assert [c for c in asked if not re.search(rf"(\| |、|, )`{c}`", page)] == []


def test_page_names_every_table_of_the_registry(page):
    for name in ("subject", "subject_identifier", "subject_name", "credit_record", "DAMAGED.json", "current.json"):
        assert f"`{name}`" in page
