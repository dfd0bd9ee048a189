"""Money columns: yuan to the fen, the currency, and the text as sent."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.decimals import Ints, decimal_array, numbers_at, plain_numbers, scaled
from chengxin.cleaning.kernels.money_forms import read_money
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, Findings, read_distinct
from chengxin.cleaning.kernels.text import folded, prepare
from chengxin.model.units import UNITS, doubtful, read_words
from chengxin.parsing.buffers import Rows, as_mask, fixed_values, heads, matches, parts, take, valid, without

# A number and words around its end: 5,118(万元人民币). What has another shape is read one by one.
_NUMBER_AND_WORDS = r"^(?P<number>-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)(?P<words>[^0-9.,E+-]*)$"
_PARTED = (
    r"[0-9０-９.,][\s\x{A0}\x{2000}-\x{200A}\x{202F}\x{3000}]+[0-9０-９.,]"  # 5 000 or two numbers: read one by one
)
_YUAN = "CNY"


class _Amounts:
    """The result under construction: fen and currency per row. currency -1 = none, else an index into `codes`."""

    def __init__(self, rows: int) -> None:
        self.fen = np.zeros(rows, np.int64)
        self.known = np.zeros(rows, np.bool_)
        self.currency = np.full(rows, -1, np.int32)
        self.codes = [_YUAN]

    def code(self, currency: str) -> int:
        if currency not in self.codes:
            self.codes.append(currency)
        return self.codes.index(currency)

    def currency_array(self) -> pa.Array:
        indices = fixed_values(self.currency, pa.int32(), self.currency >= 0)
        return pc.take(pa.array(self.codes, pa.string()), indices)


def clean_money(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean amounts to yuan, decimal128(18, 2). extra: `currency_code` (ISO 4217) and `raw` (the text as sent).

    A unit inside the value goes before the column's (options.unit, default 元). Amounts in foreign currency are not
    converted: null, with money.foreign_currency.
    """
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    power = UNITS[options.unit or "元"] or 0
    amounts = _Amounts(len(values))
    starts, ends, powers = _without_words(values, power)
    fits, fen, rounded = scaled(numbers_at(parts(values)[1], starts, ends, valid(values)), powers + 2)
    amounts.fen, amounts.known = fen, fits
    amounts.currency[fits] = 0
    findings.add("money.rounded", rounded)
    rest: Rows = np.flatnonzero(valid(values) & ~fits)
    if len(rest):
        rest = _with_words(values, rest, power, amounts, findings)
        _one_by_one(values, rest, power, amounts, findings)
    return Cleaned(
        decimal_array(amounts.fen, amounts.known, 2),
        findings.issues(),
        {"currency_code": amounts.currency_array(), "raw": values},
    )


def _without_words(values: pa.StringArray, power: int) -> tuple[Ints, Ints, Ints]:
    """Return where numbers begin and end without ￥ before and 元, 万 or 万元 behind, and the powers of their units.

    ￥ stays before a number without a unit in a column of another unit than 元: such an amount is not read.
    """
    offsets, data = parts(values)
    starts, ends = offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64)
    powers: Ints = np.full(len(values), power, np.int64)
    if not data.size:  # no value at all: nothing to look at, and nothing that could be taken from
        return starts, ends, powers
    for word, meant in (("元", 0), ("万", 4)):
        a, b, c = word.encode()
        rows = np.flatnonzero(data.take(ends - 1, mode="clip") == c)
        rows = rows[ends[rows] - starts[rows] > 3]
        rows = rows[(data[ends[rows] - 3] == a) & (data[ends[rows] - 2] == b)]
        ends[rows] -= 3
        powers[rows] = meant
    first = heads(values)
    for sign in ("￥", "¥"):
        code = sign.encode()
        rows = np.flatnonzero(first == code[0])
        rows = rows[(ends[rows] - starts[rows] > len(code)) & ((ends[rows] < offsets[rows + 1]) | (power == 0))]
        for place in range(1, len(code)):
            rows = rows[data[starts[rows] + place] == code[place]]
        starts[rows] += len(code)
    return starts, ends, powers


def _with_words(values: pa.StringArray, rows: Rows, power: int, amounts: _Amounts, findings: Findings) -> Rows:
    """Read numbers followed by a unit and a currency; return the rows that are left."""
    texts = take(values, rows)
    whole = without(folded(texts), matches(texts, _PARTED))
    found = pc.extract_regex(whole, _NUMBER_AND_WORDS)
    matched = np.flatnonzero(as_mask(found.is_valid()))
    if len(matched) == 0:
        return rows
    found = take(found, matched)
    words = pc.struct_field(found, "words").dictionary_encode()
    readings = [
        None if read and doubtful(text, read[0], power) else read
        for text, read in ((text, read_words(text)) for text in words.dictionary.to_pylist())
    ]
    codes = words.indices.to_numpy(zero_copy_only=False)
    powers = np.array([power if not r or r[0] is None else r[0] for r in readings], np.int64)[codes]
    currency = np.array([-1 if r is None else amounts.code(r[1]) for r in readings], np.int32)[codes]
    numbers = plain_numbers(pc.replace_substring(pc.struct_field(found, "number"), ",", ""))
    fits, fen, rounded = scaled(numbers, powers + 2)
    foreign, good = fits & (currency > 0), fits & (currency == 0)
    at = rows[matched]
    amounts.fen[at[good]] = fen[good]
    amounts.known[at[good]] = True
    amounts.currency[at[good | foreign]] = currency[good | foreign]
    findings.add("money.rounded", at[good & rounded])
    findings.add("money.foreign_currency", at[foreign])
    done = np.zeros(amounts.known.size, np.bool_)
    done[at[good | foreign]] = True
    return rows[~done[rows]]


def _one_by_one(values: pa.StringArray, rows: Rows, power: int, amounts: _Amounts, findings: Findings) -> None:
    """Read each distinct text of the remaining rows once."""
    if len(rows) == 0:
        return
    readings, codes, _ = read_distinct(take(values, rows), lambda text: read_money(text, power))
    fen: Ints = np.array([0 if r.yuan is None else int(r.yuan.scaleb(2)) for r in readings], np.int64)
    known = np.array([r.yuan is not None for r in readings], np.bool_)
    currency = np.array([-1 if r.currency is None else amounts.code(r.currency) for r in readings], np.int32)
    amounts.fen[rows], amounts.known[rows], amounts.currency[rows] = fen[codes], known[codes], currency[codes]
    findings.add_distinct([reading.rules for reading in readings], codes, rows)
