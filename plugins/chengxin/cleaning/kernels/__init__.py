"""Column kernels: raw text in, typed values and broken rules out; no Python object per row on the way.

Every kernel takes one pa.Array of strings of up to a few hundred thousand rows. What a single value is worth is written
down in scalar form (model.identifiers, date_forms, money_forms) and used for the distinct values that are rare or odd;
the common ones are settled on bytes.
"""

from collections.abc import Callable

import pyarrow as pa

from chengxin.cleaning.kernels.codes import clean_code
from chengxin.cleaning.kernels.dates import clean_date, clean_instant
from chengxin.cleaning.kernels.documents import clean_document_no
from chengxin.cleaning.kernels.identifiers import checked, clean_identifier, separate
from chengxin.cleaning.kernels.money import clean_money
from chengxin.cleaning.kernels.name_column import among, clean_name, no_names, without_unknown
from chengxin.cleaning.kernels.names import name_key
from chengxin.cleaning.kernels.numbers import clean_decimal, clean_flag, clean_integer, clean_phone, clean_year
from chengxin.cleaning.kernels.places import abroad, clean_region
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions
from chengxin.cleaning.kernels.text import clean_text
from chengxin.model.elements import ElementType

__all__ = [
    "CleanOptions", "Cleaned", "abroad", "among", "checked", "clean", "name_key", "no_names", "separate",
    "without_unknown",
]  # fmt: skip

_PLAIN: dict[str, Callable[[pa.Array], Cleaned]] = {
    "text": clean_text,
    "name": clean_name,
    "year": clean_year,
    "phone": clean_phone,
    "flag": clean_flag,
}
_BY_OPTIONS: dict[str, Callable[[pa.Array, CleanOptions], Cleaned]] = {
    "document_no": clean_document_no,
    "code": clean_code,
    "region": clean_region,
    "date": clean_date,
    "instant": clean_instant,
    "money": clean_money,
    "integer": clean_integer,
    "decimal": clean_decimal,
}
_DEFAULT = CleanOptions()


def clean(raw: pa.Array, type: ElementType, *, options: CleanOptions = _DEFAULT) -> Cleaned:  # noqa: A002
    """Clean a raw column by the type of its data element (model.elements.ElementType)."""
    if type in _PLAIN:
        return _PLAIN[type](raw)
    kernel = _BY_OPTIONS.get(type)
    return kernel(raw, options) if kernel else clean_identifier(raw, type, options)
