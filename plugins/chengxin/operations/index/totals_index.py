"""The sums of the index: by data set and day, by rule and day, by data set. A replay is no delivery.

batches, held, warned, open and received count what departments sent; rows that a replay let in are in `replayed` and
`replay_unlinked`. open_refused: refused rows that nothing has closed, as the answers to the department tell.
"""

import sqlite3
from collections.abc import Collection

_OPEN = """CASE WHEN replay_of <> '' THEN 0 WHEN state = 'admitted' THEN coalesce(answered_open, quarantined)
    WHEN state = 'held' AND NOT EXISTS (SELECT 1 FROM batch n WHERE n.dataset = b.dataset
      AND n.as_of > b.as_of AND n.state = 'admitted') THEN quarantined ELSE 0 END"""


def _sent(value: str) -> str:
    return f"coalesce(sum({value}) FILTER (WHERE replay_of = ''), 0)"


DAYS = f"""INSERT INTO dataset_day
    SELECT b.dataset, b.day, {_sent("1")}, {_sent("state = 'held'")}, {_sent("verdict IS 'warn'")},
      {_sent("state = 'open'")}, {_sent("received")}, {_sent("accepted")}, {_sent("quarantined")},
      {_sent("duplicate")}, {_sent("unlinked")}, count(*) FILTER (WHERE replay_of <> ''),
      coalesce(sum(accepted) FILTER (WHERE replay_of <> ''), 0),
      coalesce(sum(unlinked) FILTER (WHERE replay_of <> ''), 0),
      sum({_OPEN})
    FROM touched t CROSS JOIN batch b ON b.dataset = t.dataset AND b.day = t.day GROUP BY b.dataset, b.day"""
RULE_DAYS = """INSERT INTO rule_day
    SELECT r.dataset, b.day, r.rule, r.level, sum(r.rows) FROM touched t
    CROSS JOIN batch b ON b.dataset = t.dataset AND b.day = t.day
    CROSS JOIN batch_rule r ON r.dataset = b.dataset AND r.batch_id = b.batch_id GROUP BY 1, 2, 3, 4"""
TOTALS = """INSERT OR REPLACE INTO dataset_total
    SELECT d.dataset, sum(batches + replays), sum(held), sum(open), sum(received), sum(accepted + replayed),
      sum(quarantined), sum(duplicate), sum(unlinked + replay_unlinked), sum(open_refused),
      (SELECT arrived_at FROM batch b WHERE b.dataset = d.dataset AND replay_of = '' ORDER BY arrived_at DESC LIMIT 1),
      max(d.day) FILTER (WHERE d.batches > 0),
      (SELECT max(as_of) FROM batch b WHERE b.dataset = d.dataset AND b.state = 'admitted')
    FROM (SELECT DISTINCT dataset FROM touched) t CROSS JOIN dataset_day d USING (dataset) GROUP BY d.dataset"""


def sum_up(connection: sqlite3.Connection, touched: Collection[tuple[str, str]]) -> None:
    """Add up anew the (data set, day) pairs that changed, and what depends on them."""
    if not touched:
        return
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS touched (dataset TEXT, day TEXT, PRIMARY KEY (dataset, day))")
    connection.execute("DELETE FROM touched")
    connection.executemany("INSERT OR IGNORE INTO touched VALUES (?, ?)", touched)
    # What is held is settled by a batch of another day.
    connection.execute("""INSERT OR IGNORE INTO touched SELECT dataset, day FROM batch
        WHERE state = 'held' AND dataset IN (SELECT dataset FROM touched)""")
    for table in ("dataset_day", "rule_day"):
        connection.execute(f"DELETE FROM {table} WHERE (dataset, day) IN (SELECT dataset, day FROM touched)")
    connection.execute("DELETE FROM dataset_total WHERE dataset IN (SELECT dataset FROM touched)")
    for statement in (DAYS, RULE_DAYS, TOTALS):
        connection.execute(statement)
