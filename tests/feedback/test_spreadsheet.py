"""What a spreadsheet is kept from spoiling comes back as it was: the quote that we add, our own reader removes."""

from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chengxin.cleaning.kernels import CleanOptions, clean
from chengxin.contracts.plan import fold_header
from chengxin.feedback.spreadsheet import safe
from chengxin.model.elements import ElementType

TYPES = get_args(ElementType)
NASTY = st.text("=+-@＝＋－＠'‘＇0123456789eE.%甲A \t\r\n\v\x00\x7f\u3000\ufeff\u200b\ufffd无/")
SPOILED = st.from_regex(r"[\s\ufeff]*[=+\-@0]{0,2}[0-9]{0,20}(e[0-9]{1,3})?[\s\u3000]*", fullmatch=True)


def cleaned(text: str | None, kind: str) -> object:
    options = CleanOptions(unit="元", codelist="delivery_status" if kind == "code" else None)
    made = clean(pa.array([text], pa.string()), kind, options=options)
    extra = {name: values.to_pylist() for name, values in made.extra.items()}
    return made.values.to_pylist(), [(rule, mask.to_pylist()) for rule, mask in made.issues], extra


def sent_back(text: str) -> str:
    return safe(pa.array([text], pa.string()))[0].as_py()


@pytest.mark.parametrize("kind", TYPES)
@given(text=NASTY | SPOILED | st.text())
@example("430102199003070012")
@example("000123")
@example("=1+1")
@example("-12.5万")
@example("\t")
@example("+12\x00")
@example("'=1")
@example("123E4")
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_value_sent_back_from_the_table_is_the_value_sent(kind, text):
    assert cleaned(sent_back(text), kind) == cleaned(text, kind)


@given(text=NASTY)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_header_sent_back_from_the_table_is_the_same_column(text):
    assert fold_header(sent_back(text)) == fold_header(text)


@pytest.mark.parametrize("kind", ["text", "name"])
@pytest.mark.parametrize("kept", ["'甲'号项目", "''甲", "甲'=1"])
def test_a_quote_that_belongs_to_the_text_stays(kind, kept):
    assert clean(pa.array([kept]), kind).values.to_pylist() == [kept]


@pytest.mark.parametrize(
    ("sent", "name"), [("' 甲", "甲"), ("'12号店", "12号店"), ("'李某", "李某"), ("‘甲公司", "甲公司")]
)
def test_a_quote_before_a_name_is_a_mark_and_before_a_text_not(sent, name):
    assert clean(pa.array([sent]), "name").values.to_pylist() == [name]
    assert clean(pa.array([sent]), "text").values.to_pylist() == [sent]
