"""The real Hunan lists in three formats, a batch a year, through the whole pipeline."""

import csv
from pathlib import Path

import duckdb
import pytest
from pipeline_runs import JSON_KEYS, LIST_COLUMNS, chengxin, contract, published_files

from cases import few

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def lists(shared_data: Path) -> Path:
    return shared_data / "registration-hunan"


def _contracts(folder: Path) -> None:
    contract(folder, "aa_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    contract(folder, "bb_list", "registration", LIST_COLUMNS, file={"format": "xls"})
    contract(folder, "cc_list", "registration", JSON_KEYS, file={"format": "json", "records": "erDataList"})


@pytest.mark.parametrize("years", few(0, [4, None]))
def test_three_formats_publish_the_same_rows_and_repeat_alike(tmp_path: Path, lists: Path, years: int | None) -> None:
    home, contracts = tmp_path / "home", tmp_path / "contracts"
    _contracts(contracts)
    expected = list(csv.DictReader((lists / "expected-by-year.csv").open(encoding="utf-8-sig")))[:years]
    for dataset, suffix in (("aa_list", "csv"), ("bb_list", "xls"), ("cc_list", "json")):
        files = [f"--file={lists / suffix / (r['year'] + '-湖南.' + suffix)}" for r in expected]
        done = chengxin(home, contracts, "ingest", dataset, *files)
        assert [b["received"] for b in done["batches"]] == [int(r["rows"]) for r in expected]
        assert [b["quarantined"] for b in done["batches"]] == [int(r["rows_to_quarantine"]) for r in expected]
        assert all(
            b["received"] == b["accepted"] + b["quarantined"] + b["duplicate"] + b["unlinked"] for b in done["batches"]
        )
        assert done["snapshot"]["tiers"]["government"]["tables"]["subject"] == int(
            expected[-1]["cumulative_distinct_uscc"]
        )
    snapshot = done["snapshot"]["tiers"]["government"]["path"]
    facts = "* EXCLUDE (record_id, department_code, dataset, batch_id, source_file, source_row, received_at)"
    for dataset in ("bb_list", "cc_list"):
        table = f"SELECT {facts} FROM '{snapshot}/registration/*.parquet' WHERE dataset ="
        query = f"SELECT count(*) FROM ({table} 'aa_list' EXCEPT ALL {table} '{dataset}')"
        different = duckdb.sql(query).fetchall()
        assert different == [(0,)]
    before = published_files(home)
    again = chengxin(
        home, contracts, "ingest", "aa_list", *[f"--file={lists / 'csv' / (r['year'] + '-湖南.csv')}" for r in expected]
    )
    assert again["snapshot"] is None
    assert published_files(home) == before
    assert chengxin(home, contracts, "verify")["problems"] == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-16"])
def test_transcoded_files_publish_the_same_rows(tmp_path: Path, lists: Path, encoding: str) -> None:
    text = (lists / "csv" / "1998-湖南.csv").read_text("utf-8-sig")
    if encoding == "gbk":  # what GBK cannot write was never in such a file
        text = text.encode("gbk", "ignore").decode("gbk")
    rows = {}
    for name, write_as in (("utf8", "utf-8"), ("other", encoding)):
        home, contracts = tmp_path / name, tmp_path / f"contracts-{name}"
        contract(contracts, "aa_list", "registration", LIST_COLUMNS, file={"format": "csv", "encoding": write_as})
        path = tmp_path / name / "1998.csv"
        path.parent.mkdir()
        path.write_bytes(text.encode(write_as))
        done = chengxin(home, contracts, "ingest", "aa_list", "--file", str(path))
        table = f"{done['snapshot']['tiers']['government']['path']}/registration/*.parquet"
        rows[name] = duckdb.sql(
            f"SELECT * EXCLUDE (batch_id, received_at) FROM '{table}' ORDER BY source_row"
        ).fetchall()
    assert len(rows["utf8"]) == 1522
    assert rows["utf8"] == rows["other"]


@pytest.mark.slow
def test_a_damaged_tail_loses_only_its_bad_rows(tmp_path: Path, lists: Path) -> None:
    home, contracts = tmp_path / "home", tmp_path / "contracts"
    contract(contracts, "aa_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    lines = (lists / "csv" / "1995-湖南.csv").read_bytes().splitlines(keepends=True)
    good, tail = lines[:500], [line.rstrip(b"\r\n") for line in lines[500:]]
    broken = [
        tail[0].decode().encode("gb18030"),  # another encoding
        tail[1].replace(b",", b"", 3),  # too few fields
        b'"' + tail[2],  # a quote that never closes
        tail[3] + b",\x00\x01,extra",  # too many
        tail[4],  # a good row between bad ones
        b"\xff\xfe\x80\x81" * 40,  # binary rubbish
        tail[5][: len(tail[5]) // 3],  # cut off in the middle
    ]
    path = tmp_path / "damaged.csv"
    path.write_bytes(b"".join(good) + b"\n".join(broken))
    done = chengxin(home, contracts, "ingest", "aa_list", "--file", str(path))
    batch = done["batches"][0]
    assert batch["received"] == 499 + len(broken)
    assert batch["accepted"] == 500
    rows = chengxin(home, contracts, "quarantine", "aa_list")["rows"]
    assert [r["row"] for r in rows] == [501, 502, 503, 504, 506, 507]
    assert {r["file"] for r in rows} == {"damaged.csv"}
    assert rows[0]["reasons"][0]["rule"] == "row.undecodable"
    assert all(reason["zh"] for r in rows for reason in r["reasons"])
