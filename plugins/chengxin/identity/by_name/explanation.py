"""Why a name was linked, in words: a match weight for each family of features; with the prior they are the log odds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chengxin import language
from chengxin.identity.by_name.differences import KIND
from chengxin.identity.by_name.features import FORM_RELATIONS, REGIONS, aspects_of, compare
from chengxin.identity.by_name.hashes import Ints
from chengxin.identity.by_name.index import Index, Names
from chengxin.identity.by_name.model import Model
from chengxin.identity.by_name.parts import Parts, parse

_COLON, _SEMICOLON = {"zh": "：", "en": ": "}, {"zh": "；", "en": "; "}
_ALIKE = {"same_sound": "同音", "like_shape": "形近", "like_sound": "近音", "other_character": "是不同的字"}
_DIFFERENCES = {
    "same": "字号和行业相同",
    "one_more_here": "多一字“{0}”",
    "one_more_there": "少一字“{1}”",
    "exchanged": "两字颠倒",
    "two_alike": "“{0}”与“{1}”两字音形相近",
    "several_more_here": "多出“{0}”",
    "several_more_there": "少了“{1}”",
}
_REGION_WORDS = {
    "none": "两边都没有地区", "only_there": "登记名另有地区", "only_here": "登记名没有地区", "compatible": "地区不矛盾",
    "province": "同省", "prefecture": "同市州", "county": "同县区", "other_county": "县区不同",
    "other_county_near": "同市州、县区不同", "other_prefecture": "市州不同", "other_province": "省不同",
}  # fmt: skip
_FORM_WORDS = {
    "same": "组织形式相同", "missing_here": "未写组织形式", "missing_there": "登记名没有组织形式",
    "limited_company": "有限公司与公司", "companies": "公司的形式不同", "branch": "分支机构与总部",
    "company_factory": "公司与厂", "trades": "厂、店、所之间", "cooperative": "合作社与其他", "other": "组织形式不同",
}  # fmt: skip
_OWN_REGION_WORDS = ("", "报送的市州相同", "报送的市州不同、同省", "报送的省不同")
_REP_WORDS = ("法定代表人未知", "法定代表人相同", "法定代表人不同")
_MARK_WORDS = ("数字、方位一致", "一边另有数字或方位", "数字与方位不一致", "数字或方位不同")
_NOTE_WORDS = ("没有附注", "报送名有附注", "登记名有附注", "两边都有附注")


@dataclass(frozen=True)
class Explanation:
    """prior: the log odds before anything is compared. evidence: what was seen, and its match weight."""

    asked: str
    registered: str
    posterior: float
    second: float
    prior: float
    evidence: tuple[tuple[str, float], ...]

    @property
    def log_odds(self) -> float:
        """Return the sum of all."""
        return self.prior + sum(weight for _, weight in self.evidence)

    def text(self) -> str:
        """Return one sentence, the strongest evidence first, in the language of the run."""
        order = sorted(self.evidence, key=lambda said: -abs(said[1]))
        told = [f"{language.localise(words)} {weight:+.1f}" for words, weight in (*order, ("先验", self.prior))]
        head = f"{self.asked} → {self.registered}，约 {self.posterior:.1%}（次选 {self.second:.1%}）"
        return f"{language.localise(head)}{_COLON[language.chosen()]}{_SEMICOLON[language.chosen()].join(told)}"


def explain(
    names: tuple[str, str], asked: Names, index: Index, registered: int, *, model: Model, share: float
) -> Explanation:
    """Explain the link of one name. names: as sent and as registered. asked: that one name. registered: its place."""
    compared = compare(asked, index, index.candidates(asked, bucket=model.bucket, keep=model.keep))
    features = compared.features()
    odds = np.exp(model.log_odds(features) + _shift(model, share))
    row = int(np.flatnonzero(compared.pairs.registered == registered)[0])
    others = index.subject[compared.pairs.registered] != index.subject[registered]
    best: dict[int, float] = {}
    for subject, value in zip(index.subject[compared.pairs.registered].tolist(), odds.tolist(), strict=True):
        best[subject] = max(value, best.get(subject, 0.0))
    total = 1 + sum(best.values())
    second = float(odds[others].max(initial=0.0)) / total
    weights = {family: float(values[row]) for family, values in model.families(features).items()}
    seen = {aspect: int(values[row]) for aspect, values in compared.aspects.items()}
    told = _words(seen, asked.parts, index.names.parts.take(np.array([registered])), names=len(index.names))
    evidence = tuple((told[family], weight) for family, weight in weights.items())
    return Explanation(*names, float(odds[row]) / total, second, model.bias + _shift(model, share), evidence)


def _shift(model: Model, share: float) -> float:
    return float(np.log(share / (1 - share)) - np.log(model.prior / (1 - model.prior)))


def explain_again(
    names: tuple[str, str], features: Sequence[int], odds: tuple[float, float], *, model: Model, share: float, of: int
) -> Explanation:
    """Explain a link from its evidence. odds: the posterior and that of the next subject. of: registered names."""
    weights = model.families(np.array([features], np.int16))
    taken = parse(names)
    told = _words(aspects_of(features), taken.take(slice(1)), taken.take(slice(1, None)), names=of)
    evidence = tuple((told[family], float(values[0])) for family, values in weights.items())
    return Explanation(*names, *odds, model.bias + _shift(model, share), evidence)


def _words(seen: Mapping[str, int], asked: Parts, registered: Parts, *, names: int) -> dict[str, str]:
    """Say for each family of features what was seen."""
    region = _REGION_WORDS[REGIONS[seen["region"]]]
    own = _OWN_REGION_WORDS[seen["own_region"]]
    same_core = ("1", "2", "3–4", "5–10", "11–30", "30+")[seen["same_core"]]
    rivals = "没有其他相近名称" if not seen["rivals"] else "另有相近名称"
    return {
        "spelling": _difference(seen["kind"], asked, registered),
        "rarity": f"字在 {names:,} 个登记名中的稀有程度（字号行业相同的有 {same_core} 个）",
        "marks": _MARK_WORDS[seen["marks"]],
        "region": f"{region}、{own}" if own else region,
        "form": _FORM_WORDS[FORM_RELATIONS[seen["form"]]],
        "legal_rep": _REP_WORDS[seen["legal_rep"]],
        "note": _NOTE_WORDS[seen["note"]],
        "rivals": rivals,
    }


def _difference(kind: int, asked: Parts, registered: Parts) -> str:
    here, there = asked.text(0), registered.text(0)
    before = next((i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    behind = _common_end(here[before:], there[before:])
    here, there = here[before : len(here) - behind], there[before : len(there) - behind]
    name = next(name for name, number in KIND.items() if number == kind)
    if name in _ALIKE:
        return f"“{here}”与“{there}”{_ALIKE[name]}"
    if name in _DIFFERENCES:
        return _DIFFERENCES[name].format(here, there)
    return f"“{here}”与“{there}”不同"


def _common_end(here: str, there: str) -> int:
    pairs = zip(reversed(here), reversed(there), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(here), len(there)))


def nearest(posterior: npt.NDArray[np.float64], cut: float | None) -> Ints:
    """Return the names that have a candidate, those nearest to the cut first."""
    order = np.argsort(np.abs(posterior - (cut or 1.0)), kind="stable")
    return order[posterior[order] > 0]
