"""Opens are counted whoever makes them: Python, DuckDB, another process."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
COUNTED = """
import json, subprocess, sys
from pathlib import Path
import duckdb
from opens import Opens
root = Path(sys.argv[1])
with Opens(root) as watched:
    (root / "old" / "python.txt").read_text()
    duckdb.sql(f"FROM read_csv('{root}/old/duckdb.csv')").fetchall()
    subprocess.run(["cat", root / "old" / "other.txt"], check=True, stdout=subprocess.DEVNULL)
    (root / "new").mkdir()
    (root / "new" / "own.txt").write_text("")
print(json.dumps([[str(p.relative_to(root)) for p in watched.below(*tops)] for tops in (["old", "new"], ["new"])]))
"""


def test_opens_of_what_was_there_are_counted(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python.txt", "duckdb.csv", "other.txt", "untouched.txt"):
        (old / name).write_text("a\n1\n")
    command = [sys.executable, "-c", COUNTED, str(tmp_path)]
    done = subprocess.run(command, cwd=BENCH, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [["old/duckdb.csv", "old/other.txt", "old/python.txt"], []]
