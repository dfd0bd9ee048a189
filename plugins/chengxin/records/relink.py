"""Enter the outcome of linking into the journal: a batch's first account, and the later ones of rows that waited.

Waiting rows are tried again when the registry has grown or a judgement was made; settled rows when a judgement is about
them. The caller holds the registry's lock.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.engine.session import Session, session
from chengxin.errors import InvariantBroken
from chengxin.facts import Admission, Batch, as_json
from chengxin.home import Home
from chengxin.identity import ledger, reopened_links
from chengxin.identity.batch_links import Linking, Outcome
from chengxin.identity.by_code import roles_of
from chengxin.identity.held_links import link_files
from chengxin.identity.ledger import Judgement
from chengxin.identity.precision import measured
from chengxin.identity.registry import Registry, RegistryFiles
from chengxin.identity.scope import NEAR
from chengxin.records import journal
from chengxin.records.findings import found_by_linking, noted
from chengxin.records.protected import Sparing
from chengxin.records.superseded import Correcting
from chengxin.state import lookups, seals
from chengxin.state.accounts import Accounts, registers
from chengxin.state.database import caught_up
from chengxin.store import atomic

JUDGEMENTS = "judgements"  # in the versions of an account: how many there were
TRIED = "tried.json"  # up to where a batch was tried in vain; may be deleted
SETTLED = "settled.json"  # where the journal ended, and how many judgements there were, when all were tried; likewise
FEW = 20  # batches with waiting rows that are tried without asking the state which of them it is worth while
MANY = 200_000  # rows registered since: as many touch most of what waits


def link_batch(
    home: Home,
    contract: Contract,
    landed: Batch,
    before: Admission,
    accounts: Accounts,
    *,
    reopen: pa.Table | None = None,
    corrected: pa.Table | None = None,
) -> Admission | None:
    """Link the rows that wait in the account `before` and enter the new account; None when nothing changed.

    reopen: records to reopen in the whole data set, see identity.reopened_links. corrected: see records.superseded.
    """
    layout = home.layout
    judgements = ledger.read(layout)
    revision, order = before.revision + 1, accounts.next_order
    mine = accounts.of(contract.id)
    target = layout.links(contract.id, landed.batch_id, revision)
    again = layout.links(contract.id, landed.batch_id, before.revision) if revision else None
    with atomic.building(target) as folder:
        outcome = Linking(
            contract=contract,
            batch=landed,
            layout=layout,
            registry=Registry(layout, accounts),
            order=order,
            identity=before.route or contract.id,
            target=folder,
            again=again,
            since=before.order if revision and not measured(judgements[: _judged(before)]).is_stopped else None,
            judgements=judgements,
            reopen=reopen,
            corrected=corrected,
            spare=Sparing(contract, layout, order, landed.batch_id, mine),
            resources=home.resources,
        ).run()
    if revision and outcome.waiting == before.unlinked and not outcome.undone:
        shutil.rmtree(target)
        return None
    links = [layout.links(contract.id, landed.batch_id, r) for r in range(revision + 1)]
    found = found_by_linking(contract, before, outcome, links, mine)
    before = noted(layout, before, found, links)
    judged = layout.validation(contract.id, landed.batch_id)
    sealed = seals.of_files(judged.parent, [*sorted(target.iterdir()), judged])
    sealed |= {name: digest for name, digest in before.seals.items() if name.startswith("standard/")}
    newest = accounts.newest
    known_from = max(home.clock.now().isoformat(), newest.known_from if newest else "")
    admission = _account(
        replace(before, order=order, known_from=known_from, seals=sealed), outcome, revision, judgements
    )
    if not admission.counts.adds_up():
        raise InvariantBroken(f"{landed.batch_id} 账目不平：{as_json(admission)}")
    journal.admit(layout, admission, accounts.head)
    return admission


def _account(before: Admission, outcome: Outcome, revision: int, judgements: Sequence[Judgement]) -> Admission:
    moved: dict[str, Any] = {
        "revision": revision,
        "accepted": before.accepted - outcome.undone_accepted + outcome.accepted,
        "duplicate": before.duplicate - outcome.undone_duplicate + outcome.duplicate,
        "unlinked": outcome.waiting,
        "withdrawn": before.withdrawn + outcome.withdrawn,
        "new_subjects": outcome.new_subjects,
        "versions": before.versions | ({JUDGEMENTS: str(len(judgements))} if judgements else {}),
    }
    return replace(before, **moved)


@dataclass
class Settling:
    """One settling of a home. landed: returns a batch by data set and id.

    guard: put around what is done for one batch (data set, batch or empty); it may keep what goes wrong there.
    """

    home: Home
    contracts: Mapping[str, Contract]
    landed: Callable[[str, str], Batch]
    guard: Callable[[str, str], AbstractContextManager[None]] = field(default=lambda *_: nullcontext())

    def run(self) -> list[Admission]:
        """Follow new judgements, then try waiting rows. Return the accounts that changed."""
        self.layout = self.home.layout
        self.judgements = ledger.read(self.layout)
        self.accounts = journal.accounts(self.layout)
        self.changed: dict[tuple[str, str], Admission] = {}
        if self.judgements:
            for dataset in self.accounts.datasets():
                if dataset in self.contracts and kind_of(self.contracts[dataset]).registers == "none":
                    with self.guard(dataset, ""):
                        self._reopen(dataset)
        for dataset in sorted({a.dataset for a in self.accounts.waiting()}):
            if dataset in self.contracts:
                with self.guard(dataset, ""):
                    self._correct(dataset)
        before, every = -2, True
        while before < self.accounts.head.order:  # what one row adds to the registry may be what another waits for
            before = self.accounts.head.order
            for account in self._due():
                tried = False
                if account.dataset in self.contracts:
                    with self.guard(account.dataset, account.batch_id):
                        self._retry(account)
                        tried = True
                every = every and tried
        if every:
            body = {**asdict(self.accounts.head), "judged": len(self.judgements)}
            self.layout.state.mkdir(parents=True, exist_ok=True)
            atomic.write_json(self.layout.state / SETTLED, body)
        return list(self.changed.values())

    def _due(self) -> list[Admission]:
        """Return the accounts whose waiting rows may find their subject now, those that register first.

        Where many wait, the state is asked which of them give a code or name of a subject that was registered, or
        registered again, or that was judged, since all were tried last.
        """
        waiting = sorted(self.accounts.waiting(), key=lambda a: (not registers(a), a.order))
        path = self.layout.state / SETTLED
        if len(waiting) <= FEW or not path.exists():
            return waiting
        note = atomic.read_json(path)
        fresh = self.accounts.registering(after=note["order"])
        judged = self.judgements[note["judged"] :]
        same = self.accounts.at(note["order"]).digest == note["digest"] and len(self.judgements) >= note["judged"]
        if not same or sum(a.accepted for a in fresh) > MANY or any(j.part == ledger.RULE for j in judged):
            return waiting
        files = RegistryFiles(self.layout, fresh)
        read = (pq.read_table(p, columns=["subject_id"]) for t in ("subjects", "names") for p in files.files(t))
        subjects = {subject for table in read for subject in table["subject_id"].to_pylist()}
        said = {j.value for j in ledger.changes(judged)}
        if not subjects and not said:
            return []
        with caught_up(self.layout) as state:
            values = self._awaited(fresh) if lookups.waits(state, NEAR) else ()
            touched = lookups.waiting_for(state, subjects, chain(values, said))
        return [a for a in waiting if (a.dataset, a.batch_id) in touched]

    def _awaited(self, fresh: Sequence[Admission]) -> Iterator[str]:
        from chengxin.identity.name_links import awaited  # loaded only where names wait

        return awaited(self.layout, fresh)

    def _retry(self, account: Admission) -> None:
        """Try a batch's waiting rows unless that was done for all that the registry and the ledger hold."""
        note, growth = self._note(account), self.accounts.grown()
        judged = len(self.judgements) > max(_judged(account), note.get("judged", 0)) and not registers(account)
        if (growth > max(account.order, note.get("order", -1)) or judged) and not self._link(account):
            self._write(account, {"order": growth, "judged": len(self.judgements)})

    def _reopen(self, dataset: str) -> None:
        """Link anew the settled rows of a data set that new judgements are about, and those a kill left void."""
        accounts = list(self.accounts.latest(dataset).values())
        new = [a for a in accounts if max(_judged(a), self._note(a).get("followed", 0)) < len(self.judgements)]
        if not new:
            return
        seen = min(max(_judged(a), self._note(a).get("followed", 0)) for a in new)
        if not ledger.changes(self.judgements[seen:]):
            for account in new:
                self._write(account, {"followed": len(self.judgements)})
            return
        mine = self.accounts.of(dataset)
        first = {a.batch_id: a.order for a in reversed(mine)}
        roles = roles_of(self.contracts[dataset])
        with self._session() as steps:
            steps.files("reopened", link_files(self.layout, mine, "reopened"), reopened_links.REOPENED)
            tables = [
                reopened_links.records_judged(
                    steps,
                    linked=link_files(self.layout, [b for b in mine if b.batch_id == a.batch_id], "linked"),
                    standard=sorted(self.layout.standard(dataset, a.batch_id).glob("standard-*.parquet")),
                    roles=roles,
                    judgements=self.judgements[max(_judged(a), self._note(a).get("followed", 0)) :],
                )
                for a in new
            ]
            records = pa.concat_tables(tables)
            orders = reopened_links.batches_to_reopen(steps, link_files(self.layout, mine, "linked"), records)
        for account in sorted((a for a in accounts if first[a.batch_id] in orders), key=lambda a: first[a.batch_id]):
            self._link(account, records)
            self._write(account, {"sought": -1})
            records = records.slice(0, 0)  # the first revision voids them in the whole data set
        for account in new:
            self._write(account, {"followed": len(self.judgements)})

    def _correct(self, dataset: str) -> None:
        """Settle waiting rows whose corrected record has come since it was looked for last."""
        mine = self.accounts.of(dataset)
        accounts = {a.batch_id: a for a in mine}  # the newest one each
        sought = {b: self._note(a).get("sought") for b, a in accounts.items() if a.unlinked}
        due = [accounts[b] for b, at in sought.items() if at is None or at < mine[-1].order]
        if not due:
            return
        search = Correcting(self.contracts[dataset], self.layout, mine)
        first = {a.batch_id: a.order for a in reversed(mine)}
        fresh = (-1 if search.timed else first[a.batch_id] - 1 for a in due if sought[a.batch_id] is None)
        since = min([*fresh, *(at for a in due if (at := sought[a.batch_id]) is not None)])
        found: dict[str, pa.Table] = {}
        if search.possible:
            with self._session() as steps:
                found = search.found(steps, due, since)
        for account in due:
            if account.batch_id in found:
                self._link(account, corrected=found[account.batch_id])
            self._write(account, {"sought": mine[-1].order})

    def _link(self, account: Admission, reopen: pa.Table | None = None, corrected: pa.Table | None = None) -> bool:
        contract, landed = self.contracts[account.dataset], self.landed(account.dataset, account.batch_id)
        again = link_batch(self.home, contract, landed, account, self.accounts, reopen=reopen, corrected=corrected)
        if again:
            self.accounts = journal.accounts(self.layout)
            self.changed[again.dataset, again.batch_id] = again
        return again is not None

    def _session(self) -> AbstractContextManager[Session]:
        return session(self.layout.work, self.home.resources)

    def _note(self, account: Admission) -> dict[str, int]:
        path = self.layout.batch(account.dataset, account.batch_id) / TRIED
        return dict(atomic.read_json(path)) if path.exists() else {}

    def _write(self, account: Admission, more: dict[str, int]) -> None:
        path = self.layout.batch(account.dataset, account.batch_id) / TRIED
        atomic.write_json(path, self._note(account) | more)


def _judged(account: Admission) -> int:
    return int(account.versions.get(JUDGEMENTS, 0))
