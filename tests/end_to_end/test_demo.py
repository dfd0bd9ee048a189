"""The main job: two rounds of demo deliveries of all departments, over all connector shapes."""

from collections import defaultdict
from pathlib import Path

import duckdb
import pytest
from pipeline_runs import chengxin

from chengxin.settings import PROJECT

CONTRACTS = PROJECT / "dags" / "contracts"


@pytest.mark.slow
def test_the_demo_shows_every_outcome_and_is_idempotent(tmp_path: Path) -> None:
    done = chengxin(tmp_path, CONTRACTS, "demo")
    totals: dict[str, int] = defaultdict(int)
    for batch in done["batches"]:
        for name in ("received", "accepted", "quarantined", "duplicate", "unlinked"):
            totals[name] += batch[name]
        assert batch["received"] == sum(batch[n] for n in ("accepted", "quarantined", "duplicate", "unlinked"))
    assert all(totals[n] > 0 for n in ("accepted", "quarantined", "duplicate", "unlinked"))
    assert {b["dataset"] for b in done["batches"]} >= {"tax_rating", "police_population", "commerce_registration"}
    assert [b["dataset"] for b in done["batches"] if b["verdict"] == "hold"] == ["banking_settlement_account"]
    government, opened = (done["snapshot"]["tiers"][t] for t in ("government", "open"))
    assert "security_penalty" not in government["tables"]
    assert not {"overdue_loan", "guarantee", "person_base", "identity_check"} & set(opened["tables"])
    records = f"'{government['path']}/credit_record/*.parquet'"
    assert duckdb.sql(f"SELECT count(*), count(DISTINCT record_id) FROM {records}").fetchall()[0] == (
        government["tables"]["credit_record"], government["tables"]["credit_record"]
    )  # fmt: skip
    assert duckdb.sql(f"SELECT count(*) FROM {records} WHERE dataset = 'police_security_penalty'").fetchall() == [(0,)]
    of_persons = f"FROM '{opened['path']}/subject/*.parquet' WHERE subject_type = 'person'"
    persons, tokens = duckdb.sql(f"SELECT count(*), count(DISTINCT subject_token) {of_persons}").fetchall()[0]
    assert persons == tokens > 0  # the demo has made a key
    assert chengxin(tmp_path, CONTRACTS, "verify")["problems"] == []
    again = chengxin(tmp_path, CONTRACTS, "publish")
    assert again == {"batches": [], "snapshot": None}
