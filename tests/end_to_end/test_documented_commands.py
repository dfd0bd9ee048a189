"""The commands of docs/adding-a-source.md and CONTRIBUTING.md, run by a shell as they are written."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def shell_blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (PROJECT / page).read_text("utf-8"), re.S)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder that looks like the root of the repository and has a `build` of its own."""
    for name in (".venv", "dags", "expectations", "plugins", "Makefile"):
        (tmp_path / name).symlink_to(PROJECT / name)
    return tmp_path


def run(tree: Path, commands: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHENGXIN")}
    done = subprocess.run(["bash", "-euo", "pipefail"], input=commands, cwd=tree, env=kept, capture_output=True,
                          text=True, timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\s+", "", done.stdout + done.stderr)  # tables break lines where the terminal ends


@pytest.mark.slow
def test_ten_minutes_from_a_file_to_published_rows(tree):
    seen = run(tree, "\n".join(shell_blocks("docs/adding-a-source.md")))
    assert "1份合同，0个问题" in seen
    assert "收到4行=可用3+疑问1" in seen
    assert "收到4条=入库3+疑问1+重复0+未关联0" in seen
    assert "members.csv第5行【统一社会信用代码】统一社会信用代码校验位不符" in seen
    assert "51,180,000.00元" in seen


@pytest.mark.slow
def test_tour_that_follows_one_row(tree):
    seen = run(tree, "\n".join(shell_blocks("CONTRIBUTING.md")))
    assert "试运行，没有入库" in seen
    assert "主体编号1" in seen
