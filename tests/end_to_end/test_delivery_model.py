"""Random sequences of deliveries against a model of forty lines: every mode, deletion, correction, late subject, route.

CHENGXIN_MANY=20 multiplies the number of sequences.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
STATUS = "delivery_status_code"
PRECEDENCE = {"test_province": 1, "test_city": 2}
DATASETS = ("test_inc", "test_full", *PRECEDENCE)
KNOWN, LATE = (1, 2), (3, 4)

Row = tuple[int, int, str, int | None, bool]  # subject, number, content, day of the source's own time, deleted
rows = st.lists(
    st.tuples(
        st.sampled_from((*KNOWN, *LATE)), st.integers(1, 2), st.sampled_from("甲乙"), st.sampled_from((None, 1, 2, 3)),
        st.sampled_from((False, False, False, True)),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(DATASETS), rows, st.integers(1, 6)),
        st.tuples(st.just("late"), st.sampled_from(LATE), st.just(0)),
        st.tuples(st.just("again"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("publish"), st.just(0), st.just(0)),
    ),
    min_size=3, max_size=8,
)  # fmt: skip


@dataclass
class Model:
    """What must be published: by data set and record the newest content, None = withdrawn."""

    known: set[int] = field(default_factory=lambda: set(KNOWN))
    sent: list[tuple[str, Sequence[Row], int]] = field(default_factory=list)

    def deliver(self, dataset: str, given_rows: Sequence[Row], day: int) -> bool:
        """Take a delivery in; the same bytes again say nothing."""
        if any((d, r) == (dataset, given_rows) for d, r, _ in self.sent):
            return False
        self.sent.append((dataset, given_rows, day))
        return True

    def held(self, dataset: str) -> dict[tuple[int, int], str]:
        """Return what a data set holds of the subjects known by now."""
        mine = [(day, place, r) for place, (d, r, day) in enumerate(self.sent) if d == dataset]
        if dataset == "test_full":
            mine = [max(mine, key=lambda m: m[:2])] if mine else []
        newest: dict[tuple[int, int], tuple[Any, str | None]] = {}
        for day, place, given_rows in mine:
            for n, (subject, number, content, at, deleted) in enumerate(given_rows):
                when = (day if at is None or dataset == "test_full" else at - 30, place, n)
                if (subject, number) not in newest or when > newest[subject, number][0]:
                    newest[subject, number] = (when, None if deleted else content)
        return {k: c for k, (_, c) in newest.items() if c is not None and k[0] in self.known}

    def published(self) -> list[tuple[str, int, int, str]]:
        """Return (data set, subject, number, content) of every record to be shown."""
        held = {d: self.held(d) for d in DATASETS}
        hidden = held["test_province"].keys()
        held["test_city"] = {k: c for k, c in held["test_city"].items() if k not in hidden}
        return sorted((d, s, n, c) for d, found in held.items() for (s, n), c in found.items())


def office_in(folder: str) -> Office:
    office = Office(Path(folder))
    office.contract("test_reg", "registration", REGISTRATION)
    for dataset in DATASETS:
        delivery: dict[str, Any] = {"options": {"folder": dataset}}
        delivery["mode"] = "full" if dataset == "test_full" else "incremental"
        if dataset in PRECEDENCE:
            delivery["route"] = {"group": "penalties", "precedence": PRECEDENCE[dataset]}
        quality = {"shrink": {"warn": 1, "hold": 1}}
        office.contract(dataset, "penalty", (*PENALTY, STATUS), delivery=delivery, quality=quality)
    office.deliver("test_reg", *[company(n) for n in KNOWN], day=0)
    return office


def as_row(subject: int, number: int, content: str, at: int | None, deleted: bool) -> dict[str, Any]:
    return penalty(
        number,
        uscc=uscc(subject),
        penalty_content=content,
        source_updated_at=f"2026-02-{at:02d} 10:00:00" if at else "",
        **{STATUS: "2" if deleted else "0"},
    )


def check(office: Office, model: Model) -> None:
    office.publish()
    names = {name: int(s) for name, s in office.table("subject", "uscc, subject_id")}
    numbers = {names[uscc(n)]: n for n in model.known}
    shown = office.table("penalty", "dataset, subject_id, regexp_extract(decision_no, '(\\d+)号', 1), penalty_content")
    assert sorted((d, numbers[s], int(n), c) for d, s, n, c in shown) == model.published()
    sources = sum(len(model.held(d)) for d in PRECEDENCE)
    assert len(office.table("record_source")) == sources
    office.accounts()


def play(sequence: Sequence[tuple[Any, Any, int]]) -> None:
    with TemporaryDirectory() as folder:
        office, model, files = office_in(folder), Model(), list[tuple[str, Path]]()
        for what, detail, day in sequence:
            if what == "late":
                model.known.add(detail)
                office.deliver("test_reg", company(detail), day=7)
            elif what == "publish":
                check(office, model)
            elif what == "again" and files:
                dataset, path = files[detail % len(files)]
                before = office.accounts()
                (path.parent / f"again-{path.name}").write_bytes(path.read_bytes())
                office.ingest(dataset, path.parent / f"again-{path.name}")
                assert office.accounts() == before
            elif what in DATASETS and model.deliver(what, detail, day):
                path = office.write(what, [as_row(*r) for r in detail], day=day)
                files.append((what, path))
                assert office.ingest(what, path)["verdict"] != "hold"
        check(office, model)
        assert office.publish() is None, "nothing is new"


@pytest.mark.slow
@settings(max_examples=3 * MANY, deadline=None, derandomize=MANY == 1, suppress_health_check=list(HealthCheck))
@given(steps)
def test_what_is_published_is_what_the_model_says(sequence: Sequence[tuple[Any, Any, int]]) -> None:
    play(sequence)


@pytest.mark.slow
def test_a_long_sequence_of_everything() -> None:
    play([
        ("test_inc", [(1, 1, "甲", 2, False), (3, 1, "甲", None, False)], 1),
        ("test_city", [(1, 1, "甲", None, False), (3, 1, "乙", None, False), (2, 1, "甲", 3, False)], 1),
        ("test_full", [(1, 1, "甲", None, False), (3, 2, "乙", None, False), (2, 2, "乙", None, False)], 2),
        ("publish", 0, 0),
        ("test_province", [(1, 1, "乙", None, False), (3, 1, "甲", 1, True), (2, 1, "乙", 3, True)], 3),
        ("test_inc", [(1, 1, "乙", 1, False), (1, 1, "乙", 3, True), (1, 1, "甲", 1, False)], 2),
        ("test_full", [(1, 1, "乙", None, False), (4, 1, "甲", None, False)], 4),
        ("late", 3, 0),
        ("publish", 0, 0),
        ("test_full", [(1, 1, "甲", None, True), (2, 1, "甲", None, False), (3, 2, "乙", None, False)], 3),
        ("again", 0, 0),
        ("test_province", [(1, 1, "乙", None, True), (3, 1, "甲", None, False)], 5),
        ("test_inc", [(3, 1, "甲", None, True), (1, 1, "乙", 3, False)], 5),
        ("late", 4, 0),
        ("again", 2, 0),
    ])  # fmt: skip
