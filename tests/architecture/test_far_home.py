"""A home may lie in an object store: whoever reads it from the edges asks for an up-to-date copy first."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "chengxin"


def test_the_edges_do_not_take_the_home_from_bare_settings():
    edges = [path for part in ("orchestration", "cli") for path in (PACKAGE / part).rglob("*.py")]
    texts = {path.name: path.read_text("utf-8") for path in edges}
    assert any(".here(" in text for text in texts.values())
    assert [
        name for name, text in texts.items() if re.search(r"from_environment\([^)]*\)\.(layout|settings\.home)", text)
    ] == []
