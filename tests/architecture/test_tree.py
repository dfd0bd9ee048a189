"""Rules of the tree that no other tool checks."""

import ast
import os
import re
import statistics
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
OURS = ("plugins", "dags", "expectations", "tests", "bench", "docs", "deploy", ".ci")
TEXT = {".py", ".yaml", ".yml", ".json", ".md", ".toml", ".csv", ".lock", ".html", ".txt", ""}
PYTHON = [path for folder in ("plugins", "dags", "bench", "tests") for path in sorted((PROJECT / folder).rglob("*.py"))]
# Names that are part of a format or a licence, or that cannot exist.
KNOWN_HOSTS = {"127.0.0.1", "localhost", "api-server", "www.apache.org", "www.w3.org"}
KNOWN_HOSTS |= {"schemas.openxmlformats.org", "schemas.xmlsoap.org", "json-schema.org", "192.0.2.1", "openlineage.io"}
KNOWN_DOMAINS = (".example", ".example.com", ".example.org", ".invalid", ".test")


def texts():
    top = [path for path in PROJECT.iterdir() if path.is_file() and path.suffix in TEXT and path.name != ".git"]
    below = [
        path for folder in OURS for path in (PROJECT / folder).rglob("*") if path.is_file() and path.suffix in TEXT
    ]
    for path in sorted(top + below):
        if "__pycache__" not in path.parts:
            yield path, path.read_text("utf-8", errors="replace")


def test_no_file_is_longer_than_one_can_hold():
    lengths = {path.relative_to(PROJECT).as_posix(): len(path.read_text().splitlines()) for path in PYTHON}
    assert {name: n for name, n in lengths.items() if n > 500} == {}
    assert {name: n for name, n in lengths.items() if name.startswith("dags/") and n > 30} == {}


def test_contracts_stay_short():
    lengths = [len(path.read_text().splitlines()) for path in (PROJECT / "dags" / "contracts").rglob("*.yaml")]
    assert statistics.median(lengths) <= 80


def test_names_say_what_a_module_is_for():
    empty = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert [path for path in PYTHON if path.stem in empty or path.parent.name in empty] == []


def test_names_of_tests_fit_into_a_line():
    nodes = [node for path in PYTHON if path.name.startswith("test_") for node in ast.walk(ast.parse(path.read_text()))]
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert len(names) > 1000
    assert [name for name in names if len(name) > 60] == []


def test_nothing_is_left_to_do_in_the_code():
    mark = re.compile(r"#.*\b(?:TO{0}DO|FIX{0}ME|HA{0}CK)\b".replace("{0}", ""))
    assert [path.name for path in PYTHON if mark.search(path.read_text())] == []


def test_no_file_names_a_host_or_a_path_of_some_machine():
    found = []
    for path, text in texts():
        for host in re.findall(r"\w+://(?:[^\s/@\"'<>]*@)?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)", text):
            if host not in KNOWN_HOSTS and not f".{host}".endswith(KNOWN_DOMAINS):
                found.append((path.relative_to(PROJECT).as_posix(), host))
        found += [(path.name, name) for name in re.findall(r"(?<![\w.*-])/(?:work|root|home/\w+)/[\w./-]+", text)]
    assert found == []


def test_every_locked_package_has_hashes_and_no_index():
    lock = (PROJECT / "requirements.lock").read_text()
    packages = re.findall(r"^([a-z0-9._-]+)==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE)) > 100
    assert "index-url" not in lock
    assert "find-links" not in lock


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_names_its_two_commands(name):
    text = (PROJECT / name).read_text("utf-8")
    assert "make run" in text
    assert "make test" in text


def test_ci_runs_what_the_readme_says():
    script = (PROJECT / ".ci" / "run").read_text()
    assert (PROJECT / ".ci" / "run").stat().st_mode & 0o100
    assert script.rstrip().endswith("make check\nmake test-slow\nmake run ONCE=1")
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"run", "test", "check", "lint", "types", "layers", "bench", "setup"} <= targets
    assert re.search(r"^check:.*\btest\b", makefile, re.MULTILINE)
    assert {"test", "test-slow"} <= targets, "what the first leaves out the second runs"


def test_the_main_job_goes_through_airflow_unless_told_otherwise():
    def words(*variables: str) -> str:
        done = subprocess.run(
            ["make", "--no-print-directory", "-n", "-o", "setup", "run", *variables],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().splitlines()[-1].split(" demo")[1]

    assert words().split() == ["--airflow"]
    assert words("ONCE=1").split() == ["--airflow", "--once"]
    assert words("ASK=1", "ONCE=0").split() == ["--airflow", "--ask"]
    assert words("AIRFLOW=0", "ONCE=1").split() == []


def test_no_rows_go_into_duckdb_one_by_one():
    """`executemany` costs DuckDB a millisecond a row: `engine.session.create_table` takes a table at once."""
    texts = {path.name: path.read_text("utf-8") for path in (PROJECT / "plugins").rglob("*.py")}
    assert [name for name, text in texts.items() if "import duckdb" in text and ".executemany(" in text] == []
