"""Assembling: built up delivery by delivery or anew, the same bytes; only what is touched is written; seals hold."""

import io
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from chengxin import pipeline
from chengxin.errors import InvariantBroken
from chengxin.home import Home
from chengxin.identity import ledger
from chengxin.state.database import caught_up
from chengxin.store import atomic
from deliveries import (
    ARREARS,
    CHANGE,
    GUARANTEE,
    PENALTY,
    PERSON,
    REGISTRATION,
    SEALED,
    START,
    Office,
    company,
    counts,
    org_code,
    penalty,
    person_doc,
    reg_no,
    renaming,
    uscc,
)

REGIONS = ("430102", "430302", "430602")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", (*REGISTRATION, "source_updated_at"))
    office.contract("test_penalty", "penalty", PENALTY)
    return office


def files(office: Office) -> dict[str, bytes]:
    """Return what the journal alone decides: all files but those of history."""
    found = office.snapshot()
    paths = (p for p in sorted(found.rglob("*.parquet")) if not p.parent.name.endswith("_history"))
    return {p.relative_to(found).as_posix(): p.read_bytes() for p in paths}


def apart(found: dict[str, bytes]) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Return the files but for those of the table `batch`, and the rows of that without the day of publication."""
    others = {name: data for name, data in found.items() if not name.startswith("batch/")}
    return others, [
        row | {"published_at": None}
        for name in sorted(found.keys() - others)
        for row in pq.read_table(io.BytesIO(found[name])).to_pylist()
    ]


def rebuilt(office: Office, tmp_path: Path) -> dict[str, bytes]:
    """Publish the same journal in another home at one go."""
    other = Office(tmp_path / "anew", office.contracts)
    for name in ("landing", "batches", "admissions", "registry"):
        if (office.settings.home / name).exists():
            shutil.copytree(office.settings.home / name, other.settings.home / name)
    pipeline.publish(Home(other.settings), other.contracts)
    return files(other)


class Deliveries:
    """Random but reproducible deliveries to all shapes of data sets."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office, self.draw = office, random.Random(seed)
        office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
        office.contract("test_change", "registration_change", CHANGE)
        office.contract("test_person", "person_base", PERSON)
        office.contract("test_guarantee", "guarantee", GUARANTEE)

    def company(self, n: int) -> dict[str, Any]:
        return registered(n)

    def subject(self) -> dict[str, Any]:
        n = self.draw.randrange(14)
        code = uscc(n, region=REGIONS[n % 3])
        by = self.draw.randrange(5)
        if by == 0:
            return {"tax_no": code}
        if by == 1:
            return {"subject_name": f"湖南示例{n}有限公司", "region_code": REGIONS[n % 3]}
        if by == 2:
            return {"person_doc_no": person_doc(n), "subject_name": f"示例{n}"}
        return {"uscc": code}

    def one(self, day: float) -> None:
        draw, late = self.draw, day - self.draw.choice([0, 0, 0, 1.5])
        what = draw.choice(["reg", "reg", "penalty", "penalty", "penalty", "arrears", "change", "person", "guarantee"])
        some = range(draw.randrange(1, 7))
        if what == "reg":
            rows = [self.company(draw.randrange(14)) | {"legal_rep_name": f"示例{draw.choice('甲乙')}"} for _ in some]
            if draw.random() < 0.5:
                rows[0]["source_updated_at"] = f"2026-02-{draw.randrange(1, 28):02d} 10:00:00"
            self.office.deliver("test_reg", *rows, day=late)
        elif what == "penalty":
            rows = [
                penalty(draw.randrange(4), **{"region_code": "", **self.subject()}, penalty_content=draw.choice("甲乙"),
                        source_updated_at=draw.choice(["", f"2026-02-{draw.randrange(1, 28):02d} 10:00:00"]))
                for _ in some
            ]  # fmt: skip
            rows[0]["decision_on"] = draw.choice(["不详", "2026-01-15"]) if len(rows) > 1 else "2026-01-15"
            self.office.deliver("test_penalty", *rows, day=late)
        elif what == "arrears":
            picked = draw.sample(range(14), 8)
            rows = [
                {"uscc": uscc(n, region=REGIONS[n % 3]), "tax_type_name": "增值税", "authority_name": "示例局",
                 "arrears_balance": draw.choice([10, 20]), "published_on": "2026-02-01"} for n in picked
            ]  # fmt: skip
            self.office.deliver("test_arrears", *rows, day=late)
        elif what == "change":
            n = draw.randrange(14)
            row = renaming(n, f"湖南旧{n}公司", f"湖南示例{n}有限公司", uscc=uscc(n, region=REGIONS[n % 3]))
            self.office.deliver("test_change", row, day=late)
        elif what == "person":
            rows = [{"person_name": f"示例{n}", "person_doc_no": person_doc(n)} for n in draw.sample(range(14), 3)]
            self.office.deliver("test_person", *rows, day=late)
        else:
            rows = [
                {"uscc": uscc(n, region=REGIONS[n % 3]), "related_person_doc_no": "", "institution_code": "C1",
                 "related_uscc": uscc(n + 1, region=REGIONS[(n + 1) % 3]), "contract_no": f"保{draw.randrange(3)}",
                 "valid_from_on": "2026-01-01"} for n in draw.sample(range(13), 2)
            ]  # fmt: skip
            self.office.deliver("test_guarantee", *[{k: v for k, v in r.items() if v} for r in rows], day=late)

    def judge(self) -> None:
        """Let two persons find two firms to be one; or take back what was found of one."""
        layout, draw = self.office.layout, self.draw
        merged = [j for j in ledger.active(ledger.read(layout)) if j.part == ledger.SUBJECT]
        firms = [s for s, kind in self.office.table("subject", "subject_id, subject_type") if kind == "enterprise"]
        if merged and draw.random() < 0.4:
            ledger.undo(layout, draw.choice(merged).id, at=START, author="丙", reason="看错了")
        elif len(firms) > 1:
            low, high = sorted(draw.sample(firms, 2))
            said = ledger.Said(
                subject_id=low, part=ledger.SUBJECT, value=str(high), outcome="same", reason="档案", needs_second=True
            )
            for author in "甲乙":
                ledger.judge_all(layout, [said], at=START, author=author)


MANY = int(os.environ.get("CHENGXIN_MANY", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1 + 3 * MANY))
def test_published_step_by_step_or_anew_the_files_are_the_same(office: Office, tmp_path: Path, seed: int) -> None:
    deliveries = Deliveries(office, seed)
    for day in range(1, 15):
        deliveries.one(day)
        if deliveries.draw.random() < 0.6 and office.publish(day):
            deliveries.judge()
    office.publish(99)
    assert sum(a.accepted for a in office.accounts().values()) > 10
    (anew, all_batches), (grown, batches) = (apart(found) for found in (rebuilt(office, tmp_path), files(office)))
    assert anew == grown
    assert all_batches[: len(batches)] == batches, "what came last may have changed nothing else, and waits"
    assert office.publish(100) is None


def test_only_touched_parts_are_written(office: Office) -> None:
    office.deliver("test_reg", company(1), company(2, uscc=uscc(2, region="430302"), region_code="430302"), day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2, region="430302")), day=0)
    office.publish()
    before = {p.relative_to(office.snapshot()): p.stat().st_ino for p in office.snapshot().rglob("*.parquet")}
    office.deliver("test_penalty", penalty(3, uscc=uscc(2, region="430302")), day=1)
    office.publish(1)
    after = {p.relative_to(office.snapshot()): p.stat().st_ino for p in office.snapshot().rglob("*.parquet")}
    written = sorted(p.as_posix().rsplit("-", 1)[0] for p in after if p not in before)
    assert written == ["batch/00000000", "credit_record/penalty-4303", "penalty/4303"]
    assert {p: i for p, i in before.items() if p in after} == {p: i for p, i in after.items() if p in before}


@pytest.mark.slow
def test_subjects_change_one_by_one_as_when_built_anew(office: Office, tmp_path: Path) -> None:
    """Few of many subjects at a time: new facts, older ones than published, other numbers, names that changed."""
    draw = random.Random(7)
    office.contract("test_change", "registration_change", CHANGE)
    office.deliver("test_reg", *[registered(n) | {"org_code": org_code(n)} for n in range(40)], day=0)
    office.publish()
    for day in range(1, 5):
        picked = draw.sample(range(45), 3)
        rows = [
            registered(n) | {"reg_no": reg_no(draw.choice([n, n + 100])), "legal_rep_name": f"{day}甲"} for n in picked
        ]
        rows[0] |= {"source_updated_at": "2026-01-02 10:00:00", "subject_name": f"湖南更早{day}有限公司"}
        rows[1]["region_code"] = ""
        office.deliver("test_reg", *rows, day=day)
        n = draw.randrange(40)
        change = renaming(n, f"湖南示例{n}有限公司", f"湖南新{day}有限公司", uscc=registered(n)["uscc"])
        office.deliver("test_change", change | {"changed_on": f"2026-03-{2 + day:02d}"}, day=day)
        assert office.publish(day) is not None
    assert len({name for (name,) in office.table("subject", "name") if "新" in name}) > 1
    assert apart(rebuilt(office, tmp_path))[0] == apart(files(office))[0]


def registered(n: int) -> dict[str, Any]:
    region = REGIONS[n % 3]
    return company(n, uscc=uscc(n, region=region), region_code=region)


def test_a_publication_reads_what_is_about_its_subjects(office: Office) -> None:
    for day, some in enumerate((range(20), range(20, 40))):
        office.deliver("test_reg", *map(registered, some), day=day)
    office.publish(1)
    before = dict(office.table("subject", "subject_id, name"))
    with caught_up(office.layout):
        pass
    other = office.layout.links("test_reg", office.account("test_reg", 1).batch_id, 0)
    for name in ("subjects", "identifiers", "names"):
        (other / f"{name}.parquet").chmod(0o600)
        (other / f"{name}.parquet").write_bytes(b"no longer read")
    office.deliver("test_reg", registered(3) | {"subject_name": "湖南新示例有限公司"}, day=2)
    office.publish(2)
    after = dict(office.table("subject", "subject_id, name"))
    assert {n: (before[n], after[n]) for n in after if before[n] != after[n]} == {
        4: ("湖南示例3有限公司", "湖南新示例有限公司")
    }
    office.deliver("test_reg", registered(33) | {"subject_name": "湖南又一示例有限公司"}, day=3)
    with pytest.raises(InvariantBroken, match=r"subjects\.parquet 与入库时不符"):
        office.publish(3)


@pytest.mark.slow
def test_nothing_new_makes_no_snapshot(office: Office) -> None:
    assert office.publish() is None
    office.deliver("test_reg", company(1), day=0)
    assert office.publish(1) is not None
    assert office.publish(2) is None
    office.deliver("test_reg", company(1), {**company(1), "legal_rep_name": ""}, day=1)
    assert office.publish(3) is None, "repetitions alone"
    office.deliver("test_penalty", penalty(1, uscc=uscc(9)), day=1)
    assert office.publish(4) is None, "waiting rows alone"


def texts_of(folder: Path) -> str:
    """Return all there is to read below a folder: values of all data files, and the text of the others."""
    parquet = [str(pq.read_table(p).to_pylist()) for p in folder.rglob("*.parquet")]
    return "".join(parquet) + "".join(p.read_text() for p in folder.rglob("*.json"))


def test_sealed_kinds_are_accounted_for_and_never_published(office: Office) -> None:
    office.contract("test_person", "person_base", PERSON)
    office.contract("test_sealed", "security_penalty", SEALED, basis={"legal": "测试", "share": "不予"})
    office.deliver("test_person", {"person_name": "示例甲", "person_doc_no": person_doc(1)}, day=0)
    row = {"person_name": "示例甲", "person_doc_no": person_doc(1), "decision_no": "示公决封存一号",
           "decision_on": "2026-01-15", "violation_facts": "封存的事实", "authority_name": "示例公安局"}  # fmt: skip
    assert counts(office.deliver("test_sealed", row, day=1)) == (1, 0, 0, 0)
    office.publish()
    published = texts_of(office.settings.home / "published")
    assert "示例甲" in texts_of(office.settings.home / "assembly")
    assert "示公决封存一号" not in published
    assert "封存的事实" not in published


@pytest.mark.slow
def test_a_data_set_sealed_later_leaves_the_next_snapshot(office: Office) -> None:
    office.contract("test_licence", "penalty", PENALTY)
    office.deliver("test_reg", company(1), day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1), penalty_content="照常"), day=0)
    office.deliver("test_licence", penalty(2, uscc=uscc(1), penalty_content="将封存"), day=0)
    office.publish()
    assert "将封存" in texts_of(office.snapshot())
    office.contract("test_licence", "penalty", PENALTY, basis={"legal": "测试", "share": "不予"})
    assert office.publish(1) is not None
    for tier in ("government", "open"):
        assert "将封存" not in texts_of(office.snapshot(tier))
        assert "照常" in texts_of(office.snapshot(tier))
    del office.contracts["test_licence"]
    office.publish(2)
    assert "将封存" not in texts_of(office.snapshot()), "a contract that is gone does not open what it sealed"


@pytest.mark.slow
def test_a_sealed_register_shows_only_its_subjects_number(office: Office) -> None:
    office.contract("test_reg", "registration", REGISTRATION, basis={"legal": "测试", "share": "不予"})
    office.contract("test_open", "registration", REGISTRATION)
    office.deliver("test_reg", *[company(n, legal_rep_name="封存甲") for n in (1, 2, 3)], day=0)
    office.publish()
    assert not office.layout.pointer("government").exists()
    office.deliver("test_open", company(2, subject_name="湖南公开有限公司"), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1), penalty_content="照常"), day=1)
    office.publish(1)
    assert office.table("subject", "subject_id, name, uscc") == [(1, None, None), (2, "湖南公开有限公司", uscc(2))]
    assert {s for (s,) in office.table("subject_identifier", "subject_id")} == {2}
    published = texts_of(office.settings.home / "published")
    assert "封存甲" not in published
    assert "湖南示例" not in published
    office.deliver("test_penalty", penalty(2, uscc=uscc(3)), day=2)
    office.publish(2)
    assert [s for (s,) in office.table("subject", "subject_id")] == [1, 2, 3]


def test_the_only_data_set_that_is_sealed_later_leaves_nothing(office: Office) -> None:
    office.deliver("test_reg", company(1, legal_rep_name="封存甲"), day=0)
    office.publish()
    office.contract("test_reg", "registration", REGISTRATION, basis={"legal": "测试", "share": "不予"})
    office.publish(1)
    for tier in ("government", "open"):
        assert [p for p in office.snapshot(tier).rglob("*.parquet") if p.parent.name != "batch"] == []


def _tampered_account(office: Office, change: dict[str, int]) -> None:
    path = sorted(office.layout.journal.iterdir())[-1]
    atomic.write_json(path, atomic.read_json(path) | change)


@pytest.mark.parametrize("change", [{"accepted": 3}, {"accepted": 1, "duplicate": 1}, {"unlinked": 1, "accepted": 1}])
def test_an_account_that_contradicts_its_files_stops_publication(office: Office, change: dict[str, int]) -> None:
    office.deliver("test_reg", company(1), company(2), day=0)
    office.publish()
    pointer = office.layout.pointer("government").read_bytes()
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)), day=1)
    _tampered_account(office, change)
    with pytest.raises(InvariantBroken, match="账目不平"):
        office.publish(1)
    assert office.layout.pointer("government").read_bytes() == pointer


@pytest.mark.parametrize("name", ["linked", "duplicates"])
def test_missing_or_foreign_links_stop_the_publication(office: Office, name: str) -> None:
    office.deliver("test_reg", company(1), company(2), day=0)
    office.publish()
    pointer = office.layout.pointer("government").read_bytes()
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)), penalty(2, uscc=uscc(2)), day=1)
    a = office.account("test_penalty")
    path = office.layout.links(a.dataset, a.batch_id, 0) / f"{name}.parquet"
    table, data = pq.read_table(path), path.read_bytes()
    for damage in (lambda: pq.write_table(table.slice(1), path), path.unlink):
        damage()
        with pytest.raises(InvariantBroken, match=f"links-0000/{name}.parquet (与入库时不符|缺失)"):
            office.publish(1)
    assert office.layout.pointer("government").read_bytes() == pointer
    path.write_bytes(data)
    assert office.publish(1) is not None
