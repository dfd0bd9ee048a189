import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.facts import Resources
from chengxin.quality.metrics import Listing
from chengxin.quality.scan import Scan


@pytest.mark.parametrize(
    ("borne", "told"),
    [(["A", "C"], [True, False, None]), (["C"], [False, False, None]), (["A", "A", "B"], [True, True, None])],
)
def test_a_row_without_a_uscc_is_neither_known_nor_unknown(tmp_path, borne, told):
    batch, registry = tmp_path / "standard-0.parquet", tmp_path / "identifiers.parquet"
    pq.write_table(pa.table({"row_id": [1, 2, 3], "uscc": pa.array(["A", "B", None])}), batch)
    types = pa.array(["uscc"] * len(borne) + ["org_code"])
    pq.write_table(pa.table({"identifier_value": [*borne, "B"], "identifier_type": types}), registry)
    with Scan([batch], Resources(memory_limit_mib=64), registry=[registry]) as scan:
        listing = Listing("SELECT is_known_subject FROM batch ORDER BY row_id")
        assert scan.ask([listing])[listing] == told
