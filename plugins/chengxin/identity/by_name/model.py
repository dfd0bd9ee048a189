"""The additive model: log odds that a pair is one firm = bias + one weight a feature. Held as model.json.

A file whose tables do not fit the features, or that was fitted with another character table, is refused.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chengxin.errors import InvariantBroken
from chengxin.identity.by_name import characters
from chengxin.identity.by_name.features import CROSSED, FAMILY, SIZES

PATH = Path(__file__).parent / "model.json"
_DIGITS = 4  # of a weight: below what matters, above what two machines could differ in

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """prior: share of names with an answer that the weights were fitted with. bucket, keep: of `Index.candidates`.

    bucket and keep are part of the model: how many rivals a name has is a feature.
    """

    id: str
    prior: float
    bucket: int
    keep: int
    bias: float
    weights: dict[str, Weights]

    def contributions(self, features: npt.NDArray[np.int16]) -> Weights:
        """Return the match weight of each feature, one row a pair; with the bias they add up to the log odds."""
        columns = [self.weights[name][features[:, place]] for place, name in enumerate(CROSSED)]
        return np.stack(columns, axis=1)

    def log_odds(self, features: npt.NDArray[np.int16]) -> Weights:
        """Return the log odds of pairs; summed in fixed order, so equal features give equal bits."""
        odds = np.full(len(features), self.bias)
        for place, name in enumerate(CROSSED):
            odds += self.weights[name][features[:, place]]
        return odds

    def families(self, features: npt.NDArray[np.int16]) -> dict[str, Weights]:
        """Return the match weight of each family of features."""
        found = {family: np.zeros(len(features)) for family in FAMILY.values()}
        for name, weights in zip(CROSSED, self.contributions(features).T, strict=True):
            found[FAMILY[name]] += weights
        return found

    def text(self) -> str:
        """Return the model as its file holds it, one line a feature."""
        head = {
            "id": self.id,
            "characters": characters.digest(),
            "prior": round(self.prior, 6),
            "bucket": self.bucket,
            "keep": self.keep,
            "bias": round(self.bias, _DIGITS),
        }
        lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
        rounded = {name: [round(w, _DIGITS) + 0.0 for w in self.weights[name].tolist()] for name in CROSSED}
        tables = [f'"{name}": {json.dumps(values, separators=(",", ":"))}' for name, values in rounded.items()]
        return "{\n" + ",\n".join([*lines, '"weights": {\n' + ",\n".join(tables) + "\n}"]) + "\n}\n"


def parse(text: str) -> Model:
    """Read a model file. Raise InvariantBroken where it does not fit this code."""
    body = json.loads(text)
    weights = {name: np.array(values, np.float64) for name, values in body["weights"].items()}
    if {name: len(values) for name, values in weights.items()} != SIZES or body["characters"] != characters.digest():
        raise InvariantBroken("名称关联模型与程序或字表不符；请重跑 chengxin identity train")
    return Model(body["id"], body["prior"], body["bucket"], body["keep"], body["bias"], weights)


@cache
def shipped() -> Model:
    """Return the model that comes with the package."""
    return parse(PATH.read_text("utf-8"))
