"""Names asked against the registered ones: candidates, posteriors, and the cut above which a link may be automatic.

An answer depends on the names asked together only through the estimated share of names that have an answer and through
the decoys; neither on their order nor on how many are asked at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name import decoys
from chengxin.identity.by_name.features import SIZES, compare
from chengxin.identity.by_name.hashes import Ints, mix
from chengxin.identity.by_name.index import Index, Names, Pairs
from chengxin.identity.by_name.model import Model
from chengxin.identity.by_name.posteriors import Candidates

#: From this posterior on a link is shown to a person (clerical review).
REVIEW_FROM = 0.5
_CHUNK = 20_000  # names whose pairs exist at a time
_HOPELESS = -12.0  # log odds below which a pair is forgotten


@dataclass(frozen=True)
class Scored:
    """Pairs with their log odds, features, and what became of them."""

    pairs: Pairs
    log_odds: npt.NDArray[np.float64]
    features: npt.NDArray[np.int16]
    candidates: Candidates


@dataclass(frozen=True)
class Cut:
    """The cut of a batch: None where nothing is automatic. drawn, linked: decoys; wrong: links that may be wrong."""

    posterior: float | None
    drawn: int = 0
    linked: int = 0
    wrong: float = 0.0


@dataclass(frozen=True)
class Linkage:
    """The answers, and the share of the names that have one, estimated.

    Of each name asked: registered = place of the best name, -1 where there is none; its subject and posterior; second =
    posterior of the next subject.
    """

    registered: Ints
    subject: Ints
    posterior: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    share: float
    scored: Scored
    cut: Cut

    @property
    def linked(self) -> npt.NDArray[np.bool_]:
        """Return which names are linked without a person."""
        return self.posterior >= (2 if self.cut.posterior is None else self.cut.posterior)

    @property
    def in_review(self) -> npt.NDArray[np.bool_]:
        """Return which names a person must look at."""
        return (self.posterior >= REVIEW_FROM) & ~self.linked


def score(asked: Names, index: Index, model: Model, *, without: Ints | None = None) -> Scored:
    """Compare names with their candidates. without: of each name asked, a subject that is none of them."""
    found, odds, seen = [], [], [np.zeros((0, len(SIZES)), np.int16)]
    for first in range(0, len(asked), _CHUNK):
        names = asked.take(slice(first, first + _CHUNK))
        pairs = index.candidates(names, bucket=model.bucket, keep=model.keep)
        if without is not None:
            pairs = pairs.take(index.subject[pairs.registered] != without[first + pairs.asked])
        compared = compare(names, index, pairs)
        features = compared.features()
        log_odds = model.log_odds(features)
        hopeful = log_odds > _HOPELESS
        left = compared.pairs.take(hopeful)
        found.append(Pairs(left.asked + first, left.registered))
        odds.append(log_odds[hopeful])
        seen.append(features[hopeful])
    nothing = np.zeros(0, np.int64)
    pairs = Pairs(*(np.concatenate([nothing, *(getattr(p, side) for p in found)]) for side in ("asked", "registered")))
    log_odds = np.concatenate([np.zeros(0), *odds])
    candidates = Candidates.of(len(asked), pairs, index.subject, log_odds)
    return Scored(pairs, log_odds, np.concatenate(seen), candidates)


def link(
    names: Sequence[str],
    asked: Names,
    index: Index,
    *,
    model: Model,
    seed: str,
    sure: int = 0,
    against: Pairs | None = None,
) -> Linkage:
    """Answer names. asked: the same names taken apart, with what their rows state.

    sure: links of the same batch by an exactly equal name, which count when the accepted share of wrong links is taken.
    against: the subjects (as `registered`) that a name asked is known not to be.
    """
    scored = score(asked, index, model)
    if against is not None and len(against):
        scored = excluding(scored, index, against)
    share = scored.candidates.share(model.prior)
    posterior = scored.candidates.posteriors(share, model.prior)
    answers = _answers(len(asked), scored, posterior, share)
    cut = _cut(names, asked, answers.posterior, index, model, share=share, seed=seed, sure=sure)
    return replace(answers, cut=cut)


def excluding(scored: Scored, index: Index, against: Pairs) -> Scored:
    """Return the pairs without those of a name and a subject that it is known not to be."""
    known = set(zip(against.asked.tolist(), against.registered.tolist(), strict=True))
    asked, subject = scored.pairs.asked.tolist(), index.subject[scored.pairs.registered].tolist()
    left = np.array([pair not in known for pair in zip(asked, subject, strict=True)], np.bool_)
    pairs, log_odds = scored.pairs.take(left), scored.log_odds[left]
    candidates = Candidates.of(scored.candidates.names, pairs, index.subject, log_odds)
    return Scored(pairs, log_odds, scored.features[left], candidates)


def _answers(names: int, scored: Scored, posterior: npt.NDArray[np.float64], share: float) -> Linkage:
    candidates, best = scored.candidates, scored.candidates.best()
    rows = candidates.asked[best]
    next_one = best[(best + 1 < len(candidates.asked))] + 1
    next_one = next_one[candidates.asked[next_one] == candidates.asked[next_one - 1]]
    registered, subject = np.full(names, -1), np.full(names, -1)
    first, second = np.zeros(names), np.zeros(names)
    registered[rows] = scored.pairs.registered[candidates.pair[best]]
    subject[rows], first[rows] = candidates.subject[best], posterior[best]
    second[candidates.asked[next_one]] = posterior[next_one]
    return Linkage(registered, subject, first, second, share, scored, Cut(None))


def _cut(
    names: Sequence[str],
    asked: Names,
    posterior: npt.NDArray[np.float64],
    index: Index,
    model: Model,
    *,
    share: float,
    seed: str,
    sure: int,
) -> Cut:
    """Choose the smallest cut at which the decoys of both sorts promise few enough wrong links."""
    if len(names) < decoys.FEWEST:
        return Cut(decoys.CUT_OF_FEW)
    links = sure + int((posterior >= min(decoys.CUTS)).sum())
    wanted = decoys.wanted(len(names), links, share)
    bases, texts = decoys.decoys(names, asked.parts, wanted, seed=seed)
    recombined = Names.of(texts, asked.prefecture[bases])
    recombined = recombined.take(np.flatnonzero(~index.has(recombined.parts.whole)))
    scored = (score(recombined, index, model), _orphans(asked, index, model, wanted, seed))
    reached = [s.candidates.posteriors(share, model.prior)[s.candidates.best()] for s in scored]
    drawn = sum(s.candidates.names for s in scored)
    for cut in decoys.CUTS:
        linked, links = [int((r >= cut).sum()) for r in reached], sure + int((posterior >= cut).sum())
        of = list(zip(linked, (s.candidates.names for s in scored), strict=True))
        most = max(decoys.wrong_links(decoys.most_expected(n), out_of, len(names), share) for n, out_of in of)
        if most <= decoys.ACCEPTED * links:
            wrong = max(decoys.wrong_links(n, out_of, len(names), share) for n, out_of in of)
            return Cut(cut, drawn, sum(linked), wrong)
    return Cut(None, drawn)


def _orphans(asked: Names, index: Index, model: Model, wanted: int, seed: str) -> Scored:
    """Ask for registered names as if their subjects were not registered; their rows state as much as those asked."""
    rows = decoys.sample(index.frequencies.names, wanted, seed=seed)  # those that count themselves
    like = np.arange(len(rows)) % max(len(asked), 1)
    names = index.names.take(rows)
    known = np.where(asked.prefecture[like] > 0, names.prefecture, 0)
    strangers = np.where(asked.legal_rep[like] > 0, mix(rows.astype(np.uint64)), np.uint64(0))
    names = replace(names, prefecture=known, legal_rep=strangers)
    return score(names, index.without_own(), model, without=index.subject[rows])
