"""Data sets of which too many records are of no class that the law knows: their terms are then a guess."""

from chengxin.engine.session import session
from chengxin.engine.step import Step
from chengxin.home import Home
from chengxin.model.lawful_terms import UNKNOWN
from chengxin.publishing import commit

SHARE = 0.05  # of the records of a data set


def unclassed(home: Home) -> list[tuple[str, int, int]]:
    """Return (data set, records, those of unknown class) of the current snapshot where more than SHARE are unknown."""
    now = commit.current(home.layout, "government")
    table = now.tables.get("credit_record") if now else None
    if now is None or table is None:
        return []
    folder = home.layout.snapshot("government", now.snapshot_id) / "credit_record"
    sql = """SELECT dataset, count(*) AS records, count(*) FILTER (publicity_class_code = $unknown) AS unclassed
        FROM records WHERE is_negative GROUP BY dataset HAVING unclassed > $share * records ORDER BY dataset"""
    with session(home.layout.work, home.resources) as opened:
        opened.files("records", [folder / entry.name for entry in table.files])
        found = opened.fetch(Step("unclassed", ("records",), sql, {"unknown": UNKNOWN, "share": SHARE}))
    return [(dataset, records, unknown) for dataset, records, unknown in found]
