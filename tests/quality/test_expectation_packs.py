"""Every record kind has a pack of rules that GX and the engine accept."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.contracts.loader import load
from chengxin.facts import Resources
from chengxin.model.kinds import kinds
from chengxin.model.schema import PROVENANCE, ColumnSpec, arrow_type, element_columns, kind_columns
from chengxin.quality import runner
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.expectations import load_pack
from chengxin.quality.scan import Scan
from chengxin.quality.suites import bind, compose, problems, unsupported

PACKS = Path(__file__).resolve().parents[2] / "expectations"
TODAY = date(2026, 11, 1)
SUBJECT = [
    ColumnSpec("subject_id", "int64"), ColumnSpec("subject_type", "string"), ColumnSpec("name", "string"),
    ColumnSpec("uscc", "string"), ColumnSpec("region_code", "string"), ColumnSpec("status_code", "string"),
    ColumnSpec("born_on", "date32"), *PROVENANCE,
]  # fmt: skip


def columns_of(kind):
    return SUBJECT if kind == "subject" else kind_columns(kinds()[kind])


def write(folder, columns, rows):
    schema = pa.schema([(c.name, arrow_type(c.type)) for c in columns])
    path = folder / "standard-00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return [path]


@pytest.mark.parametrize("kind", [*kinds(), "subject"])
def test_pack_exists_and_has_no_problem(kind):
    rules = load_pack(PACKS, kind)
    assert rules, f"expectations/{kind}.json is missing or empty"
    assert problems({"expectations": rules}, [c.name for c in columns_of(kind)]) == []


def test_no_pack_without_a_kind():
    assert {p.stem for p in PACKS.glob("*.json")} == {*kinds(), "subject"}


@pytest.mark.parametrize("kind", [*kinds(), "subject"])
def test_pack_can_be_judged(tmp_path, kind):
    from chengxin.quality.engine import judge

    parts = write(tmp_path, columns_of(kind), [{} for _ in range(3)])
    suite = bind({"name": kind, "expectations": load_pack(PACKS, kind)}, TODAY)
    with Scan(parts, Resources(memory_limit_mib=256)) as scan:
        results = judge(suite, scan)
        assert scan.passes == 1
    assert len(results) == len(suite["expectations"])


CONTRACTS = load(PACKS.parent / "dags" / "contracts").contracts


@pytest.mark.parametrize("dataset", CONTRACTS)
def test_suite_of_every_contract_can_be_judged(tmp_path, dataset):
    from chengxin.quality.engine import judge

    contract = CONTRACTS[dataset]
    kind = kinds()[contract.kind]
    earlier = BatchFacts(rows=9, fill={c.name: 0.8 for c in kind_columns(kind)})
    suite = bind(compose(contract, kind, PACKS, [earlier, earlier]), TODAY)
    assert unsupported(suite) == []
    parts = write(tmp_path, kind_columns(kind), [{} for _ in range(3)])
    with Scan(parts, Resources(memory_limit_mib=256)) as scan:
        judge(suite, scan)
        assert scan.passes == 1
    guarded = {r["kwargs"]["column"] for r in suite["expectations"] if r["meta"]["rule"].startswith("fill.")}
    mapped = {c.element for c in contract.columns} | set(contract.constants)
    assert guarded == {element_columns(e)[0].name for e in kind.element_list() if e.id in mapped}


def subject(n, **changes):
    source = {"department_code": "430000001", "dataset": "d", "batch_id": "b", "source_file": "f", "source_row": n}
    body = {"subject_id": n, "subject_type": "enterprise", "name": f"样例{n}", "uscc": f"91430100MA4L00{n:03d}X"}
    return {**body, "region_code": "430100", **source, **changes}


def verdict(folder, rows):
    parts = write(folder, SUBJECT, rows)
    return runner.run_subject(parts, expectations=PACKS, today=TODAY, resources=Resources(memory_limit_mib=256))


def test_good_subject_table_passes(tmp_path):
    rows = [subject(n) for n in range(1, 9)]
    rows.append(subject(9, subject_type="person", uscc=None, born_on=date(1980, 1, 1)))
    assert verdict(tmp_path, rows).status == "accept"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"subject_id": 1}, "subject.subject_id.unique"),
        ({"uscc": "91430100MA4L00001X"}, "subject.uscc.unique"),
        ({"uscc": "91430100MA4LOO1"}, "subject.uscc.form"),
        ({"subject_type": "person"}, "subject.person.no_uscc"),
        ({"born_on": date(1980, 1, 1)}, "subject.born_on.only_person"),
        ({"batch_id": None}, "subject.batch_id.present"),
        ({"region_code": "长沙"}, "subject.region.form"),
    ],
)
def test_subject_table_with_a_serious_fault_is_held(tmp_path, change, rule):
    held = verdict(tmp_path, [subject(1), {**subject(2), **change}])
    assert held.status == "hold" and rule in {f.rule for f in held.findings}
