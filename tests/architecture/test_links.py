"""Links between Markdown files lead to a file and to a heading of it; pictures are used and small."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "changelog.d", ".github", "bench", "deploy")
    for path in (PROJECT / folder).glob("*.md" if folder == "." else "**/*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURES = PROJECT / "docs" / "pictures"
PICTURE_BYTES = 300_000


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (link for link in LINK.findall(re.sub(r"`[^`\n]*`", "", text)) if "://" not in link)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings: lower case, without punctuation, blanks as hyphens."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug, n = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"), 0
        while (name := f"{slug}-{n}" if n else slug) in found:
            n += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_paths_that_contributing_names_exist():
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.[a-z]+)?)`", text))
    assert len(named) > 15
    assert (
        sorted(n for n in named if not (PROJECT / n).exists() and not (PROJECT / "plugins/chengxin" / n).exists()) == []
    )


def test_pictures_are_all_used_and_small():
    used = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    pictures = {path for path in PICTURES.iterdir() if path.is_file()}
    assert pictures
    assert pictures - used == set()
    assert sum(path.stat().st_size for path in pictures) < PICTURE_BYTES
