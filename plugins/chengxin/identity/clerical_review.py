"""Clerical review: names for which a person must decide who bears them, and a sample of automatic links by name.

The queue is derived from the evidence of linking and the ledger. A case is one name as rows state it, with region and
legal representative; its pairs are the candidates. An answer is about a pair: same, different or unsure; an answer to
the case is about all its pairs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.errors import JudgementRefused
from chengxin.facts import Admission
from chengxin.identity import ledger
from chengxin.identity.by_name import model
from chengxin.identity.by_name.explanation import Explanation, explain_again
from chengxin.identity.ledger import Judgement, Outcome, Said
from chengxin.identity.name_links import CANDIDATES, IDENTITY
from chengxin.identity.precision import declared
from chengxin.state.accounts import Accounts
from chengxin.store.atomic import read_json
from chengxin.store.layout import Layout

_PPM = 1_000_000
_Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A name asked and one candidate. second: the highest posterior of another one. proposal: not yet confirmed."""

    id: str
    subject_id: int
    registered: str = field(repr=False)
    posterior: float
    second: float
    features: tuple[int, ...] = field(repr=False)
    proposal: Judgement | None = field(default=None, repr=False)

    @property
    def evidence(self) -> dict[str, int]:
        """Return what the ledger keeps of the pair: parts per million, and a digest of the features."""
        features = hashlib.sha256(repr(self.features).encode()).hexdigest()[:15]
        margin = self.posterior - self.second
        return {
            "posterior_ppm": round(self.posterior * _PPM),
            "margin_ppm": round(margin * _PPM),
            "features": int(features, 16),
        }


@dataclass(frozen=True, kw_only=True)
class Case:
    """One name asked. rows: how many state it so. batches: data set and batch. is_sample: linked, and drawn.

    share, names, model: of the batch that asked last; see Explanation.
    """

    id: str
    name_key: str = field(repr=False)
    region: str
    legal_rep: str = field(repr=False)
    sent: str = field(repr=False)
    rows: int
    batches: tuple[tuple[str, str], ...]
    kinds: frozenset[str]
    is_linked: bool
    pairs: tuple[Pair, ...]
    share: float
    names: int
    model: str

    @property
    def is_heavy(self) -> bool:
        """Return whether two persons have to say the same."""
        heavy = declared()["heavy"]
        return self.rows >= heavy["rows"] or not self.kinds.isdisjoint(heavy["kinds"])

    @property
    def weight(self) -> float:
        """Return how many rows an answer is expected to free."""
        return self.rows * self.pairs[0].posterior

    def explain(self, pair: Pair) -> Explanation | None:
        """Explain a pair; None where it was scored by another model."""
        shipped = model.shipped()
        if self.model != shipped.id or not pair.features:
            return None
        names, odds = (self.sent, pair.registered), (pair.posterior, pair.second)
        return explain_again(names, pair.features, odds, model=shipped, share=self.share, of=self.names)

    def answer(self, pair: Pair, outcome: Outcome, reason: str) -> Said:
        """Return an answer as the ledger takes it."""
        return Said(
            subject_id=pair.subject_id,
            part=ledger.NAME,
            value=self.name_key,
            region=self.region,
            legal_rep=self.legal_rep,
            outcome=outcome,
            reason=reason,
            evidence=pair.evidence,
            is_sample=self.is_linked,
            needs_second=self.is_heavy and outcome != "unsure",
        )


def cases(layout: Layout, accounts: Accounts, judgements: Sequence[Judgement], today: date) -> list[Case]:
    """Return what waits for a person, the heavy ones first, then what frees most rows."""
    found = [*_waiting(layout, accounts), *_drawn(layout, accounts, today)]
    about, proposals = _by_question(judgements), {j.id for j in ledger.proposed(judgements)}
    open_ = (_unanswered(case, about.get(_key(case), ()), proposals, today) for case in found)
    return sorted((c for c in open_ if c), key=lambda c: (not c.is_heavy, -c.weight, c.id))


def answered(open_cases: Sequence[Case], id_: str, outcome: Outcome, reason: str) -> list[Said]:
    """Return what an answer to a pair, or to all pairs of a case, says. Raise JudgementRefused where neither waits."""
    for case in open_cases:
        pairs = [p for p in case.pairs if id_ in (p.id, case.id)]
        if pairs and not (outcome == "same" and len(pairs) > 1):
            return [case.answer(pair, outcome, reason) for pair in pairs]
    raise JudgementRefused(f"没有待核对的 {id_}：编号有误，或已由他人核对")


def _waiting(layout: Layout, accounts: Accounts) -> Iterator[Case]:
    """Give the cases of rows that wait, one a name whatever the batches."""
    found: dict[_Key, Case] = {}
    for account in accounts.waiting():
        mine: dict[_Key, Case] = {}
        folders = [layout.links(account.dataset, account.batch_id, r) for r in range(account.revision + 1)]
        for folder in folders:
            mine.update({_key(case): case for case in _read(folder)})
        path = folders[-1] / "waiting.parquet"
        waits = set(pq.read_table(path)["value"].to_pylist()) if mine and path.exists() else set()
        for key, case in mine.items():
            if not case.is_linked and case.name_key in waits:
                found[key] = _joined(found.get(key), _of(case, account))
    yield from found.values()


def _drawn(layout: Layout, accounts: Accounts, today: date) -> Iterator[Case]:
    """Give the automatic links of the last days that are drawn, at most so many of a day: those of the lowest ids."""
    sample = declared()["sample"]
    since = (today - timedelta(days=sample["days"])).isoformat()
    days: dict[str, dict[_Key, Case]] = {}
    for dataset in accounts.datasets():
        for account in accounts.of(dataset):
            if account.known_from[:10] < since:
                continue
            mine = days.setdefault(account.known_from[:10], {})
            for case in _read(layout.links(dataset, account.batch_id, account.revision)):
                if case.is_linked and int(case.pairs[0].id, 16) % sample["one_in"] == 0:
                    mine[_key(case)] = _joined(mine.get(_key(case)), _of(case, account))
    every: dict[_Key, Case] = {}
    for _, mine in sorted(days.items()):
        every |= {_key(c): c for c in sorted(mine.values(), key=lambda c: c.pairs[0].id)[: sample["a_day"]]}
    yield from every.values()


def _key(case: Case) -> _Key:
    return case.name_key, case.region, case.legal_rep


def _of(case: Case, account: Admission) -> Case:
    return replace(case, batches=((account.dataset, account.batch_id),), kinds=frozenset({account.kind}))


def _joined(before: Case | None, case: Case) -> Case:
    """Return the case with what an earlier batch says of it."""
    if before is None:
        return case
    kinds, batches = before.kinds | case.kinds, tuple(dict.fromkeys([*before.batches, *case.batches]))
    return replace(case, rows=before.rows + case.rows, batches=batches, kinds=kinds)


def _unanswered(case: Case, about: Sequence[Judgement], proposals: set[int], today: date) -> Case | None:
    """Return the case with the pairs that nobody has answered; None where there is none. about: what stands of it."""
    since = (today - timedelta(days=declared()["unsure_days"])).isoformat()
    about = [j for j in about if j.outcome != "unsure" or j.at[:10] >= since]
    settled = {j.subject_id for j in about if j.id not in proposals}
    if any(j.outcome == "same" and j.id not in proposals for j in about):
        return None
    waits = {j.subject_id: j for j in about if j.id in proposals}
    left = [replace(p, proposal=waits.get(p.subject_id)) for p in case.pairs if p.subject_id not in settled]
    return replace(case, pairs=tuple(left)) if left else None


def _by_question(judgements: Sequence[Judgement]) -> dict[_Key, list[Judgement]]:
    found: dict[_Key, list[Judgement]] = {}
    for j in ledger.standing(judgements):
        if j.part == ledger.NAME and j.region is not None and j.legal_rep is not None:
            found.setdefault((j.value, j.region, j.legal_rep), []).append(j)
    return found


@lru_cache(maxsize=4096)
def _read(folder: Path) -> tuple[Case, ...]:
    """Return the names asked of one revision that have a candidate: a links folder never changes."""
    if not (folder / CANDIDATES).exists():
        return ()
    told, table = read_json(folder / IDENTITY), pq.read_table(folder / CANDIDATES)
    rows = table.filter(pc.is_valid(table["subject_id"])).to_pylist()
    found = []
    for _, group in groupby(rows, key=lambda row: row["asked"]):
        candidates = list(group)
        first = candidates[0]
        key = (first["name_key"], first["region"], first["legal_rep"])
        pairs = [_pair(key, row, candidates) for row in (candidates[:1] if first["is_linked"] else candidates)]
        found.append(
            Case(
                id=_id(*key),
                name_key=key[0],
                region=key[1],
                legal_rep=key[2],
                sent=first["sent"],
                rows=first["rows"],
                batches=(),
                kinds=frozenset(),
                is_linked=first["is_linked"],
                pairs=tuple(pairs),
                share=told["share"],
                names=told["registered_names"],
                model=told["model"],
            )
        )
    return tuple(found)


def _pair(key: _Key, row: dict[str, object], among: Iterable[dict[str, object]]) -> Pair:
    others = [float(str(r["posterior"])) for r in among if r is not row]
    return Pair(
        id=_id(*key, str(row["subject_id"])),
        subject_id=int(str(row["subject_id"])),
        registered=str(row["name"]),
        posterior=float(str(row["posterior"])),
        second=max(others, default=0.0),
        features=tuple(row["features"]),  # type: ignore[arg-type]
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]
