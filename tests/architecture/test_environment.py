"""Only `settings` touches the environment."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"environ", "environb", "getenv", "putenv", "unsetenv"}


def reads(path: Path) -> list[int]:
    """Return the lines of a module that name the environment of the process."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    attributes = [n.lineno for n in nodes if isinstance(n, ast.Attribute) and n.attr in NAMES]
    imports = [n.lineno for n in nodes if isinstance(n, ast.ImportFrom) and NAMES & {a.name for a in n.names}]
    return attributes + imports


def test_only_settings_touches_the_environment():
    package = ROOT / "plugins" / "chengxin"
    files = [*(ROOT / "dags").glob("*.py"), *package.rglob("*.py")]
    found = {str(p.relative_to(ROOT)) for p in files if reads(p)}
    assert found == {"plugins/chengxin/settings/environment.py"}
