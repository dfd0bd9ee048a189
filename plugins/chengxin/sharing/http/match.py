"""One name asked against the registered ones: who may it be, how sure, and why. Never a person, never a household.

The index is that of linking, below the folder of the state of a home on this machine: mapped once, again when it
changed. Answered is only what the reader's own snapshot shows: a name that is registered, and not in it, is no
candidate.
"""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.identity.by_name import model
from chengxin.identity.by_name.explanation import explain_again
from chengxin.identity.by_name.hashes import Hashes, mix, text_hashes
from chengxin.identity.by_name.index import Names
from chengxin.identity.by_name.linkage import score
from chengxin.identity.by_name.registered_rows import FOUND
from chengxin.identity.by_name.registry_index import RegistryIndex, stamp, standing
from chengxin.identity.by_name.words import may_be_person
from chengxin.publishing.reader import Snapshot
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


class Matcher:
    """Answers questions of many threads over one home."""

    def __init__(self, home: Path) -> None:
        self._layout = Layout(home)
        self._lock = threading.Lock()
        self._opened: tuple[object, RegistryIndex] | None = None
        self._shown: dict[str, Hashes] = {}

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
        return candidates_of(asked, index, lambda subject, name: self._is_shown(snapshot, subject, name))

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


def candidates_of(asked: Asked, index: RegistryIndex, is_shown: Callable[[int, str], bool]) -> list[dict[str, Any]]:
    """Return the candidates that are shown, the likeliest first. is_shown: of a subject and a name."""
    if may_be_person(asked.name):
        return []
    shipped = model.shipped()
    scored = score(Names.of([asked.name], np.array([asked.region])), index.index, shipped)
    candidates, share = scored.candidates, shipped.prior
    posteriors = candidates.posteriors(share, shipped.prior)
    found = []
    for row in np.flatnonzero(posteriors >= asked.least)[:MOST].tolist():
        pair = int(candidates.pair[row])
        text, subject = index.text(int(scored.pairs.registered[pair])), int(candidates.subject[row])
        if not is_shown(subject, text):
            continue
        odds = (float(posteriors[row]), float(np.delete(posteriors, row).max(initial=0.0)))
        features = scored.features[pair].tolist()
        why = explain_again((asked.name, text), features, odds, model=shipped, share=share, of=len(index))
        evidence = sorted(why.evidence, key=lambda said: -abs(said[1]))
        found.append(
            {
                "subject_id": subject,
                "name": text,
                "posterior": round(odds[0], 4),
                "prior": round(why.prior, 2),
                "evidence": [{"words": words, "weight": round(weight, 2)} for words, weight in evidence],
            }
        )
    return found


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
