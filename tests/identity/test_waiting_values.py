"""Many batches wait: those are tried again that give a code or name of a subject registered since, no others."""

import random
from pathlib import Path

import pytest

from chengxin.facts import COUNTS
from chengxin.records import journal, relink
from chengxin.state.database import caught_up
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

REGIONS, REPRESENTATIVES = ("430102", "430202"), ("示例甲", "示例乙")


def waiting(folder: Path, seed: int) -> Office:
    """A home in which many batches wait for codes and for names.

    The registry grows in rounds: names that two firms bear, firms that get another representative.
    """
    office, chance = Office(folder), random.Random(seed)

    def place() -> dict[str, str]:
        return {"region_code": chance.choice(REGIONS), "legal_rep_name": chance.choice(REPRESENTATIVES)}

    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1, **place()), day=0)
    day = 1
    for number in range(2, 14):
        rows = []
        for n in range(3):
            firm = chance.randint(1, 40)
            who = {"uscc": uscc(firm)} if n == 0 else {"subject_name": f"湖南示例{firm % 25}有限公司", **place()}
            rows.append(penalty(100 * number + n, **who))
        office.deliver("pen", *rows, day=(day := day + 1))
        if number % 3 == 0:
            firms = chance.sample(range(1, 41), 6)
            named = (company(n, subject_name=f"湖南示例{n % 25}有限公司", **place()) for n in firms)
            office.deliver("reg", *named, day=(day := day + 1))
            office.retry()
    return office


def accounts(office: Office) -> dict[str, tuple[int, ...]]:
    found = journal.accounts(office.layout).latest("pen")
    return {batch_id[:12]: tuple(getattr(a, n) for n in COUNTS) for batch_id, a in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_by_values_or_all_the_accounts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    every = waiting(tmp_path / "every", seed)
    monkeypatch.setattr(relink, "FEW", 0)
    by_values = waiting(tmp_path / "by_values", seed)
    assert accounts(by_values) == accounts(every)
    assert any(unlinked for *_, unlinked in accounts(every).values()), "some wait to the end"


@pytest.mark.slow
def test_only_batches_that_give_its_code_or_name_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relink, "FEW", 0)
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    for n in range(30, 36):
        office.deliver("pen", penalty(n, uscc=uscc(n)), day=n - 20)
    office.retry()
    tried: list[str] = []
    link = relink.link_batch

    def counted(home, contract, landed, *rest, **more):
        tried.append(landed.batch_id)
        return link(home, contract, landed, *rest, **more)

    monkeypatch.setattr(relink, "link_batch", counted)
    office.deliver("reg", company(33), company(2), day=40)
    office.retry()
    waits = {a.batch_id for a in journal.accounts(office.layout).waiting()}
    assert len(tried) == 1 and len(waits) == 5 and tried[0] not in waits
    office.retry()
    assert len(tried) == 1, "and nothing where nothing was registered since"


def test_a_batch_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relink, "FEW", 0)
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    office.deliver("pen", penalty(3, uscc=uscc(3)), day=1)
    office.retry()
    office.deliver("reg", company(3), day=2)
    contracts, office.contracts = office.contracts, {"reg": office.contracts["reg"]}
    office.retry()  # its contract cannot be read just now
    assert [a.unlinked for a in journal.accounts(office.layout).waiting()] == [1]
    office.contracts = contracts
    office.retry()
    assert journal.accounts(office.layout).waiting() == ()


def test_the_state_holds_what_the_newest_revision_waits_for(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    office.deliver("pen", penalty(3, uscc=uscc(3)), penalty(4, uscc=uscc(4)), day=1)
    with caught_up(office.layout) as state:
        assert {v for (v,) in state.execute("SELECT value FROM waits")} >= {uscc(3), uscc(4)}
    office.deliver("reg", company(3), day=2)
    office.retry()
    with caught_up(office.layout) as state:
        values = {v for (v,) in state.execute("SELECT value FROM waits")}
    assert uscc(4) in values and uscc(3) not in values
