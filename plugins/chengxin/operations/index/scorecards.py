"""The issued scorecards: one month, and the scores of a year side by side."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from chengxin.store.layout import Layout

YEAR = 12


def months(layout: Layout) -> list[str]:
    """Return the months (yyyymm) that have been issued, newest first."""
    paths = (layout.home / "scorecards").glob("*/scorecard.json")
    return sorted((p.parent.name for p in paths if re.fullmatch(r"\d{6}", p.parent.name)), reverse=True)


def issued(layout: Layout, month: str) -> dict[str, Any]:
    """Return what was issued for a month."""
    return _frozen(layout.home / "scorecards" / month / "scorecard.json")


@lru_cache(maxsize=60)
def _frozen(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes()))  # an issued month is never written again


def history(layout: Layout, upto: str, scope: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return up to twelve issued months that end with one, oldest first, and each entry's scores and levels in them.

    A month in which an entry had nothing to assess, or was not there, is None.
    """
    shown = [month for month in months(layout) if month <= upto][:YEAR][::-1]
    entries: dict[str, dict[str, Any]] = {}
    for place, month in enumerate(shown):
        for entry in issued(layout, month).get(scope, []):
            known = entries.setdefault(entry["code"], {"code": entry["code"], "cells": [None] * len(shown)})
            known["name"] = entry["name"]
            if entry["score"] is not None:
                known["cells"][place] = {"score": entry["score"], "level": entry["level"]}
    return shown, sorted(entries.values(), key=lambda e: -(e["cells"][-1] or {"score": -1})["score"])
