"""Rows that belong to a template and not to its data are no records; names that only begin so are."""

from pathlib import Path

import pytest

from deliveries import PENALTY, REGISTRATION, Office, company, counts, penalty, uscc

NAMES = ("subject_name", "decision_no", "decision_on", "authority_name", "penalty_content")


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("必填,必填,必填,必填,选填", ["row.not_a_record"]),
        ("（必填）,（必填）,（必填）,,", ["row.not_a_record"]),
        ("示例,湘示罚〔2026〕9号,2026-01-15,示例市监局,罚款", ["row.not_a_record"]),
        ("示例商行,湘示罚〔2026〕9号,2026-01-15,示例市监局,罚款", []),
        ("必填堂药房,湘示罚〔2026〕9号,2026-01-15,示例市监局,必填", []),
    ],
)
def test_rows_of_a_template_are_no_records(tmp_path: Path, line: str, refused: list[str]) -> None:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    row = penalty(1, uscc=uscc(1), subject_name="湖南示例1有限公司")
    path = office.write("pen", [{n: row[n] for n in ("uscc", *NAMES)}], day=1, columns=("uscc", *NAMES))
    path.write_text(path.read_text("utf-8").replace("uscc,", "", 1).replace(f"{uscc(1)},", "") + line + "\n", "utf-8")
    account = office.ingest("pen", path)
    assert [rule for _, rule, _ in office.issues("pen") if rule.startswith("row.")] == refused
    assert counts(account)[1] == len(refused)
