"""One name asked against the registered ones: who may it be, how sure, and why. Never a person, never a household.

The index is that of linking, below the folder of the state of a home on this machine: mapped once, again when it
changed. Answered is only what the reader's own snapshot shows: a name that is registered, and not in it, is no
candidate. Judgements of people count as in linking: who is judged to bear the name is the only candidate, who is judged
not to bear it is none, and of subjects that are one the one that stays is given.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.names import name_key
from chengxin.identity import ledger, supersession
from chengxin.identity.by_name import model
from chengxin.identity.by_name.explanation import explain_again
from chengxin.identity.by_name.hashes import Hashes, mix, text_hashes
from chengxin.identity.by_name.index import Names, Pairs
from chengxin.identity.by_name.linkage import excluding, score
from chengxin.identity.by_name.registered_rows import FOUND
from chengxin.identity.by_name.registry_index import RegistryIndex, stamp, standing
from chengxin.identity.by_name.words import may_be_person
from chengxin.identity.ledger import Judgement
from chengxin.publishing.reader import Snapshot
from chengxin.store import journal
from chengxin.store.atomic import append_line
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
MOST = 5  # candidates
_KEPT = 8  # snapshots whose names are known


@dataclass(frozen=True)
class Asked:
    """A question. region: a prefecture, 0 unknown. least: the posterior from which a candidate is told."""

    name: str
    region: int
    least: float

    @property
    def digest(self) -> str:
        """Return what the log holds in the place of the name."""
        return sha256(f"{self.name}\n{self.region}".encode()).hexdigest()


@dataclass(frozen=True)
class Judged:
    """What people have judged of names, by name key, and which subjects are superseded by which."""

    names: Mapping[str, Sequence[Judgement]] = field(default_factory=dict)
    stays: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, judgements: Sequence[Judgement]) -> "Judged":
        """Sort the judgements that hold."""
        names: dict[str, list[Judgement]] = {}
        for j in ledger.active(judgements):
            if j.part == ledger.NAME:
                names.setdefault(j.value, []).append(j)
        return cls(names, {row["subject_id"]: row["superseded_by"] for row in supersession.rows(judgements)})

    def about(self, asked: Asked) -> list[Judgement]:
        """Return those about a name that comes from a region without a legal representative."""
        if not self.names:
            return []
        regions, key = (None, f"{asked.region or ''}"), name_key(pa.array([asked.name]))[0].as_py()
        return [j for j in self.names.get(key, ()) if j.region in regions and not j.legal_rep]


class Matcher:
    """Answers questions of many threads over one home."""

    def __init__(self, home: Path) -> None:
        self._layout = Layout(home)
        self._lock = threading.Lock()
        self._opened: tuple[object, RegistryIndex] | None = None
        self._shown: dict[str, Hashes] = {}
        self._judged: tuple[int, Judged] | None = None

    def index(self) -> RegistryIndex | None:
        """Return the index as it is now; None where the home has none on this machine."""
        now = stamp(self._layout)
        if self._opened is None or self._opened[0] != now:
            with self._lock:
                found = standing(self._layout)
                if found:
                    self._opened = (now, found)
        return self._opened[1] if self._opened else None

    def match(self, asked: Asked, snapshot: Snapshot) -> list[dict[str, Any]] | None:
        """Return the candidates, the likeliest first; None where there is no index."""
        index = self.index()
        if index is None:
            return None
        return candidates_of(asked, index, lambda subject, name: self._is_shown(snapshot, subject, name), self.judged())

    def judged(self) -> "Judged":
        """Return what people have judged, read again when there is more."""
        newest = journal.newest(self._layout.judgements)
        with self._lock:
            if self._judged is None or self._judged[0] != newest:
                self._judged = (newest, Judged.of(ledger.read(self._layout)))
            return self._judged[1]

    def _is_shown(self, snapshot: Snapshot, subject: int, name: str) -> bool:
        """Return whether a snapshot shows this name of this subject, as that of an enterprise or other organisation."""
        key = f"{snapshot.folder}"
        with self._lock:
            if key not in self._shown:
                if len(self._shown) >= _KEPT:
                    self._shown.clear()
                self._shown[key] = _shown(snapshot)
            names = self._shown[key]
        wanted = _digests([name], np.array([subject]))[0]
        place = int(np.searchsorted(names, wanted))
        return place < len(names) and bool(names[place] == wanted)


def candidates_of(
    asked: Asked, index: RegistryIndex, is_shown: Callable[[int, str], bool], judged: Judged | None = None
) -> list[dict[str, Any]]:
    """Return the candidates that are shown, the likeliest first. is_shown: of a subject and a name."""
    if may_be_person(asked.name):
        return []
    judged = judged or Judged()
    about = judged.about(asked)
    if bearer := next((j for j in about if j.outcome == "same"), None):
        return _borne(bearer, index, is_shown, judged)
    shipped = model.shipped()
    scored = score(Names.of([asked.name], np.array([asked.region])), index.index, shipped)
    if others := [j.subject_id for j in about]:
        scored = excluding(scored, index.index, Pairs(np.zeros(len(others), np.int64), np.array(others)))
    candidates, share = scored.candidates, shipped.prior
    posteriors = candidates.posteriors(share, shipped.prior)
    found = []
    for row in np.flatnonzero(posteriors >= asked.least)[:MOST].tolist():
        pair = int(candidates.pair[row])
        text = index.text(int(scored.pairs.registered[pair]))
        subject = _as_shown(int(candidates.subject[row]), text, is_shown, judged)
        if subject is None:
            continue
        odds = (float(posteriors[row]), float(np.delete(posteriors, row).max(initial=0.0)))
        features = scored.features[pair].tolist()
        why = explain_again((asked.name, text), features, odds, model=shipped, share=share, of=len(index))
        evidence = sorted(why.evidence, key=lambda said: -abs(said[1]))
        found.append(_candidate(subject, text, odds[0], prior=why.prior, evidence=evidence))
    return found


def _borne(
    judgement: Judgement, index: RegistryIndex, is_shown: Callable[[int, str], bool], judged: Judged
) -> list[dict[str, Any]]:
    """Return the subject that is judged to bear a name, under the last name of its own that is shown."""
    for number in np.flatnonzero(index.index.subject == judgement.subject_id)[::-1].tolist():
        text = index.text(number)
        subject = _as_shown(judgement.subject_id, text, is_shown, judged)
        if subject is not None:
            evidence = [(f"人工核对（第 {judgement.id} 号判断）", 0.0)]
            return [_candidate(subject, text, 1.0, prior=0.0, evidence=evidence)]
    return []


def _as_shown(subject: int, name: str, is_shown: Callable[[int, str], bool], judged: Judged) -> int | None:
    """Return the subject under which a name is shown: its own, or the one by which that is superseded."""
    return next((s for s in (subject, judged.stays.get(subject)) if s is not None and is_shown(s, name)), None)


def _candidate(
    subject: int, name: str, posterior: float, *, prior: float, evidence: Sequence[tuple[str, float]]
) -> dict[str, Any]:
    return {
        "subject_id": subject,
        "name": name,
        "posterior": round(posterior, 4),
        "prior": round(prior, 2),
        "evidence": [{"words": words, "weight": round(weight, 2)} for words, weight in evidence],
    }


def _shown(snapshot: Snapshot) -> Hashes:
    """Return the sorted digests of all names of enterprises and other organisations in a snapshot."""
    if not {"subject", "subject_name"} <= set(snapshot.tables):
        return np.zeros(0, np.uint64)
    subjects = snapshot.table("subject", ["subject_id", "subject_type"])
    found = subjects.filter(pc.is_in(subjects["subject_type"].cast(pa.string()), value_set=pa.array(FOUND)))
    names = snapshot.table("subject_name", ["subject_id", "name"])
    names = names.filter(pc.is_in(names["subject_id"], value_set=found["subject_id"].combine_chunks()))
    names = names.filter(pc.is_valid(names["name"]))
    return np.sort(_digests(names["name"].to_pylist(), names["subject_id"].to_numpy()))


def _digests(names: list[str], subjects: Any) -> Hashes:
    return mix(text_hashes(names) ^ mix(np.asarray(subjects).astype(np.uint64)))


def note(path: Path, *, at: datetime, by: str, purpose: str, asked: Asked) -> None:
    """Write down that somebody asks, before he is answered: who, for what, and a digest. Raises OSError."""
    entry = {"at": at.isoformat(), "by": by, "purpose": purpose, "asked": asked.digest}
    append_line(path, json.dumps(entry, ensure_ascii=False))
