"""The rule name_like: names that are not written as registered, linked in batches."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from chengxin.identity import ledger
from chengxin.identity.by_name import linkage, registry_index
from chengxin.identity.by_name.model import shipped
from chengxin.identity.by_name.training.corruption import Corruption
from chengxin.identity.by_name.training.invention import invented, representatives
from chengxin.identity.name_evidence import answers
from chengxin.identity.name_links import CANDIDATES, IDENTITY
from chengxin.records import journal, relink
from chengxin.settings import Settings
from deliveries import (
    CHANGE,
    PENALTY,
    PERSON,
    REGISTRATION,
    Office,
    company,
    counts,
    lasting,
    penalty,
    person_doc,
    renaming,
    uscc,
)

REGISTERED = "长沙凯岳建材有限公司"
LIKE = "长沙凯越建材有限公司"  # the same sound
NOW = datetime(2026, 5, 1, tzinfo=UTC)
DIFFERENT = ledger.Said(subject_id=1, part="name_key", value=LIKE, outcome="different", reason="不是同一家")
MANY = invented(700, 41)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.contract("test_change", "registration_change", CHANGE)
    office.contract("test_person", "person_base", PERSON)
    return office


def firms(names: Sequence[str], *, kind: str = "91", first: int = 1) -> list[dict[str, Any]]:
    """Registrations in Changsha, each with a representative of its own."""
    return [
        company(n, subject_name=name, uscc=uscc(n, kind=kind), legal_rep_name=f"示例{n}")
        for n, name in enumerate(names, first)
    ]


def report(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [penalty(n, subject_name=name, **more) for n, name in enumerate(names, 1)]


def links(office: Office, dataset: str = "test_penalty", n: int = 0) -> Path:
    account = office.account(dataset, n)
    return office.layout.links(dataset, account.batch_id, account.revision)


def evidence(office: Office, columns: str = "*", n: int = 0) -> list[tuple[Any, ...]]:
    return duckdb.sql(f"SELECT {columns} FROM '{links(office, n=n) / CANDIDATES}' ORDER BY asked, rank").fetchall()


def told(office: Office, n: int = 0) -> dict[str, Any]:
    return json.loads((links(office, n=n) / IDENTITY).read_text())


def test_a_name_written_otherwise_finds_its_firm(office: Office) -> None:
    office.deliver("test_reg", *firms([REGISTERED, *invented(300, 42)]), day=0)
    office.deliver("test_penalty", *report(LIKE, "长沙凯岳大酒店"), day=1)
    assert office.linked("test_penalty") == [(2, 1, "name_like"), (3, 0, "waits")]
    told_of = evidence(office, "sent, is_linked, subject_id, name, posterior > 0.998, len(features)")
    assert [row for row in told_of if row[1]] == [(LIKE, True, 1, REGISTERED, True, 29)]
    assert {n: told(office)[n] for n in ("asked", "linked", "registered_names", "cut")} == {
        "asked": 2, "linked": 1, "registered_names": 301, "cut": 0.998
    }  # fmt: skip


def test_a_batch_is_linked_as_names_alone_are(office: Office) -> None:
    """What the rule links in a batch is what `identity evaluate` would: nearly always the right firm."""
    office.deliver("test_reg", *firms(MANY), day=0)
    corruption = Corruption(MANY, 5)
    asked = [corruption.corrupt(name) for name in MANY[:300]]
    office.deliver("test_penalty", *report(*asked), day=1)
    found = [(row - 2, subject) for row, subject, rule in office.linked("test_penalty") if rule == "name_like"]
    assert len(found) > 150
    assert sum(MANY[row] != MANY[subject - 1] for row, subject in found) <= 1
    assert told(office)["decoys"] > 2000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["92", "person"])
def test_neither_households_nor_persons_are_found(office: Office, kind: str) -> None:
    if kind == "person":
        row = {"person_name": REGISTERED, "person_doc_no": person_doc(1), "region_code": "430102"}
        office.deliver("test_person", row, day=0)
        office.deliver("test_reg", *firms(invented(50, 42), first=2), day=0)
    else:
        office.deliver("test_reg", *firms([REGISTERED], kind=kind), *firms(invented(50, 42), first=2), day=0)
    office.deliver("test_penalty", *report(LIKE), day=1)
    assert office.rules("test_penalty") == ["waits"]
    assert REGISTERED not in [name for (name,) in evidence(office, "name")]


def test_what_may_be_a_persons_name_is_not_asked(office: Office) -> None:
    persons = representatives(400, 7)
    office.deliver("test_reg", *firms([*persons[:200], *MANY[:100]]), day=0)
    office.deliver("test_penalty", *report(*persons[200:], "示例古丽·买买提"), day=1)
    assert set(office.rules("test_penalty")) <= {"waits", "name"}
    assert not (links(office) / CANDIDATES).exists()


def test_a_name_that_somebody_bears_is_not_linked_to_another(office: Office) -> None:
    """The rule of equal names refused its bearer: elsewhere, with another representative, or one of two."""
    office.deliver("test_reg", *firms([REGISTERED, LIKE, *invented(50, 42)]), day=0)
    rows = (*report(REGISTERED, region_code="430302"), *report(REGISTERED, legal_rep_name="示例他人"))
    office.deliver("test_penalty", rows[0], rows[1] | {"decision_no": "湘示罚〔2026〕9号"}, day=1)
    assert office.rules("test_penalty") == ["waits", "waits"]
    assert not any(linked for (linked,) in evidence(office, "is_linked"))


@pytest.mark.parametrize("by_name", ["equal", "confirmed"])
def test_a_contract_may_forbid_the_rule(office: Office, by_name: str) -> None:
    office.contract("test_penalty", "penalty", PENALTY, linking={"by_name": by_name})
    office.deliver("test_reg", *firms([REGISTERED, *invented(50, 42)]), day=0)
    office.deliver("test_penalty", *report(LIKE), day=1)
    assert office.rules("test_penalty") == ["waits"]
    assert not (links(office) / IDENTITY).exists()


def test_a_batch_whose_rows_all_have_codes_costs_nothing(office: Office) -> None:
    office.deliver("test_reg", *firms([REGISTERED, *invented(50, 42)]), day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)), day=1)
    assert office.rules("test_penalty") == ["uscc", "uscc"]
    assert not {CANDIDATES, IDENTITY} & {path.name for path in links(office).iterdir()}
    assert not (office.layout.state / "names").exists()


@pytest.mark.slow
def test_former_names_are_found_and_those_of_registrations_too(office: Office) -> None:
    former = [*REGISTRATION, "former_name"]
    office.contract("test_reg", "registration", former)
    rows = firms(["长沙新名甲有限公司", "长沙新名乙有限公司", *invented(300, 42)])
    rows[1]["former_name"] = "岳阳鸿福水泥制品有限公司"
    office.deliver("test_reg", *rows, day=0)
    office.deliver("test_change", renaming(1, REGISTERED, "长沙新名甲有限公司"), day=1)
    office.deliver("test_penalty", *report(LIKE, "岳阳鸿福水泥制品有限责任公司"), day=2)
    assert office.linked("test_penalty") == [(2, 1, "name_like"), (3, 2, "name_like")]


@pytest.mark.slow
def test_a_waiting_name_is_linked_once_its_firm_is_registered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.deliver("test_reg", *firms(invented(300, 42)), day=0)
    office.deliver("test_penalty", *report(LIKE), day=1)
    for n in range(3):
        office.deliver("test_penalty", *report(f"株洲无关{n}号机械厂", decision_no=f"湘示罚〔2026〕9{n}号"), day=2 + n)
    monkeypatch.setattr(relink, "FEW", 1)  # so that the state is asked which batches are worth while
    assert office.retry() == []
    office.deliver("test_reg", *firms(["岳阳别家纸业有限公司"], first=800), day=6)
    assert office.retry() == []
    office.deliver("test_reg", *firms([REGISTERED], first=900), day=7)
    assert [a.batch_id for a in office.retry()] == [office.account("test_penalty").batch_id]
    assert office.rules("test_penalty") == ["name_like"]


@pytest.mark.slow
def test_what_is_not_near_a_new_name_is_not_asked_again(office: Office) -> None:
    office.deliver("test_reg", *firms(invented(300, 42)), day=0)
    office.deliver("test_penalty", *report(LIKE, "岳阳鸿福水泥制品有限公司"), day=1)
    assert told(office)["asked"] == 2
    office.deliver("test_reg", *firms([REGISTERED], first=900), day=2)
    office.retry()
    assert told(office)["asked"] == 1


@pytest.mark.slow
def test_a_judgement_takes_a_link_back_until_it_is_undone(office: Office) -> None:
    office.deliver("test_reg", *firms([REGISTERED, *invented(300, 42)]), day=0)
    office.deliver("test_penalty", *report(LIKE), day=1)
    assert office.rules("test_penalty") == ["name_like"]
    judged = ledger.judge(office.layout, DIFFERENT, at=NOW, author="示例甲")
    office.retry()
    assert office.rules("test_penalty") == ["waits"]
    ledger.undo(office.layout, judged.id, at=NOW, author="示例甲", reason="看错了")
    office.retry()
    assert office.rules("test_penalty") == ["name_like"]


@dataclass
class OneWorker(Office):
    @property
    def settings(self) -> Settings:
        return replace(super().settings, workers=1)


def home_with_names(office: Office, then: Callable[[Office], None]) -> list[Any]:
    """Deliver names in turns with firms, doing something after each; return what linking left."""
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    corruption = Corruption(MANY, 5)
    for number in range(5):
        first = 120 * number
        office.deliver("test_reg", *firms(MANY[first : first + 120], first=first + 1), day=number)
        rows = report(*(corruption.corrupt(name) for name in MANY[first : first + 60]))
        rows = [r | {"decision_no": f"{number}-{r['decision_no']}"} for r in rows]
        office.deliver("test_penalty", *rows, day=number + 0.5)
        then(office)
    named = (CANDIDATES, IDENTITY, "waiting.parquet")
    found = [{name: (links(office, n=n) / name).read_bytes() for name in named} for n in range(5)]
    return [*found, *(office.linked("test_penalty", n) for n in range(5))]


def remove(*names: str) -> Callable[[Office], None]:
    return lambda office: [shutil.rmtree(office.layout.home / name) for name in names] and None


@pytest.mark.slow
def test_workers_chunks_and_rebuilding_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = home_with_names(Office(tmp_path / "usual"), lambda _: None)
    assert sum(rule == "name_like" for rows in usual[5:] for _, _, rule in rows) > 100
    assert home_with_names(Office(tmp_path / "rebuilt"), remove("state/names")) == usual
    assert home_with_names(OneWorker(tmp_path / "one"), remove("state")) == usual
    monkeypatch.setattr(linkage, "_CHUNK", 7)
    monkeypatch.setattr(registry_index, "_AT_ONCE", 11)
    assert home_with_names(Office(tmp_path / "chunks"), lambda _: None) == usual


@pytest.mark.slow
def test_segments_and_what_a_kill_left_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_index, "_SMALL", 300)
    monkeypatch.setattr(registry_index, "_SEGMENTS", 1)

    def kill(office: Office) -> None:
        """Leave what a kill in the midst of extending leaves: columns that are too long, segments of nobody."""
        for path in (office.layout.state / "names").iterdir():
            if path.suffix == "":
                path.open("ab").write(b"\1" * 1000)
        (office.layout.state / "names" / "0-999-300.words.npy").write_bytes(b"half")

    grown = home_with_names(Office(tmp_path / "grown"), kill)
    assert json.loads(grown[4][IDENTITY])["frequencies_of"] < 600
    assert home_with_names(Office(tmp_path / "rebuilt"), remove("state/names")) == grown


@pytest.mark.slow
def test_an_index_that_is_damaged_is_built_anew(office: Office) -> None:
    office.deliver("test_reg", *firms(MANY[:20]), day=0)
    office.deliver("test_penalty", *report("株洲无关机械厂"), day=1)
    folder = office.layout.state / "names"
    shutil.rmtree(folder)
    whole = index_of(office)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for damage in ("missing", "short", "other journal", "no manifest"):
        if damage == "missing":
            next(folder.glob("*.words.npy")).unlink()
        elif damage == "short":
            os.truncate(folder / "core", 10)
        elif damage == "other journal":
            manifest = json.loads((folder / "manifest.json").read_text())
            (folder / "manifest.json").write_text(json.dumps(manifest | {"digest": "0" * 64}))
        else:
            (folder / "manifest.json").write_text("{")
        assert len(index_of(office)) == len(whole) == 20
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [index_of(office).text(n) for n in range(20)] == sorted(MANY[:20], key=MANY.index)


def index_of(office: Office) -> registry_index.RegistryIndex:
    return registry_index.opened(office.layout, journal.accounts(office.layout))


def test_the_evidence_explains_a_link_and_adds_up(office: Office) -> None:
    office.deliver("test_reg", *firms([REGISTERED, *invented(300, 42)]), day=0)
    office.deliver("test_penalty", *report(LIKE, "株洲无关之无关机械厂"), day=1)
    (answer,) = [a for a in answers([links(office)]) if a.state == "linked"]
    assert (answer.sent, answer.registered, answer.subject_id) == (LIKE, REGISTERED, 1)
    assert answer.explanation is not None
    odds = answer.posterior / (1 - answer.posterior - answer.explanation.second)
    assert np.log(odds) == pytest.approx(answer.explanation.log_odds, abs=0.01)
    assert "“越”与“岳”同音" in answer.explanation.text()
    (log_odds,) = next(row for row in evidence(office, "log_odds") if row[0] is not None)
    prior = sum(weight for _, weight in answer.explanation.evidence) + shipped().bias
    assert prior == pytest.approx(log_odds)


@pytest.mark.slow
def test_a_link_taken_back_leaves_what_was_without_it(tmp_path: Path) -> None:
    """The account and every published file are as where the rule is forbidden, byte for byte; but the table of batches,
    which tells by which contract and in which revision.
    """
    published = []
    for by_name in ("alike", "equal"):
        office = Office(tmp_path / by_name)
        office.contract("test_reg", "registration", REGISTRATION)
        office.contract("test_penalty", "penalty", PENALTY, linking={"by_name": by_name})
        office.deliver("test_reg", *firms([REGISTERED, *invented(300, 42)]), day=0)
        office.deliver("test_penalty", *report(LIKE, REGISTERED), day=1)
        if by_name == "alike":
            office.publish(day=2)
            ledger.judge(office.layout, DIFFERENT, at=NOW, author="示例甲")
        office.publish(day=3)
        published.append((counts(office.account("test_penalty")), lasting(office.snapshot())))
    (account, files), (without, others) = published
    assert account == without == (1, 0, 0, 1)
    assert files.keys() == others.keys()
    assert [name for name in files if files[name] != others[name]] == []
