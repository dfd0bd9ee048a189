"""New subjects are looked up by the codes that came with them; a code of several founds nobody and names nobody."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from chengxin.engine.session import Session, session
from chengxin.engine.step import Step
from chengxin.facts import Resources
from chengxin.identity import ledger
from chengxin.identity.by_code import Lookup, RoleLink, explain_waiting, leave_waiting, prepare_lookup
from chengxin.identity.founding import found
from chengxin.identity.registry import IDENTIFIERS, NAMES, SUBJECTS
from chengxin.model.kinds import kinds

LINK = RoleLink("subject", {"uscc": "uscc", "reg_no": "reg_no", "org_code": "org_code"})
USCC = "91430102MA4L000{:02}X"


@pytest.fixture
def steps(tmp_path) -> Iterator[Session]:
    with session(tmp_path, Resources(memory_limit_mib=256)) as opened:
        for name, schema in (("subjects", SUBJECTS), ("names", NAMES)):
            opened.files(f"registry_{name}", [], schema)
        ledger.attach(opened, [])
        yield opened


def rows(steps: Session, *given: tuple[str | None, str | None, str | None]) -> None:
    """Take as the input `rows` (uscc, reg_no, org_code) of each, numbered from 1."""
    names = ("uscc", "reg_no", "org_code")
    columns = {name: pa.array([row[i] for row in given], pa.string()) for i, name in enumerate(names)}
    steps.rows("rows", pa.table({"row_id": pa.array(range(1, len(given) + 1), pa.int64()), **columns}))


def linked(steps: Session) -> tuple[int, Lookup, list[tuple[int, int | None, str]]]:
    """Found and link; return how many were founded, what is looked up, and (row_id, subject_id, rule)."""
    lookup = prepare_lookup(steps)
    founded, lookup, by_rules = found(steps, kinds()["registration"], LINK, lookup, next_id=101, founding="true")
    leave_waiting(LINK, by_rules)
    explain_waiting(LINK, lookup, by_rules)
    by_other = Step("said", ("linked_subject",), "SELECT row_id, subject_id, rule FROM linked_subject ORDER BY ALL")
    return founded, lookup, steps.fetch(by_other)


def bearers(steps: Session, table: str) -> list[tuple]:
    return steps.fetch(Step("all", (table,), f"SELECT * FROM {table} ORDER BY ALL"))


def test_subjects_are_found_by_the_codes_that_came_with_them(steps):
    steps.files("registry_identifiers", [], IDENTIFIERS)
    rows(steps, (None, "R2", None), (USCC.format(1), "R1", None), (None, "R1", None), (None, None, "O1"))
    founded, lookup, said = linked(steps)
    assert founded == 3
    assert said == [(1, 103, "reg_no"), (3, 101, "reg_no"), (4, 102, "org_code")], "by organisation codes first"
    assert [row[:2] for row in bearers(steps, lookup.uscc)] == [(USCC.format(1), 101)]
    assert [n for (n,) in bearers(steps, "new_subject")] == [101, 102, 103]


def test_a_code_that_several_bear_is_ambiguous_once(steps):
    two = {"identifier_type": ["reg_no"] * 2, "identifier_value": ["R7"] * 2, "subject_id": [1, 2], "row_id": [1, 2]}
    steps.rows("registry_identifiers", pa.table({**two, "part": ["4301"] * 2}))
    rows(steps, (USCC.format(1), "R7", None), (USCC.format(2), "R7", None), (None, "R7", None))
    founded, lookup, said = linked(steps)
    assert founded == 2
    assert said == [(3, None, "shared_code")], "the row waits, once"
    assert ("reg_no", "R7") in bearers(steps, lookup.ambiguous)
    assert len(bearers(steps, lookup.ambiguous)) == 1


def test_a_code_of_two_new_subjects_names_neither(steps):
    steps.files("registry_identifiers", [], IDENTIFIERS)
    rows(steps, (USCC.format(1), "R7", None), (USCC.format(2), "R7", None), (None, "R7", None))
    founded, lookup, said = linked(steps)
    assert (founded, said) == (2, [(3, None, "shared_code")])
    assert "R7" not in [value for _, value, _ in bearers(steps, lookup.codes)]
