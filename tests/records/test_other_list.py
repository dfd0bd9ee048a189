"""A full delivery that is another list than the one before, though it has as many rows."""

import pytest

from deliveries import Office, company, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name")


def rows(first, last, **more):
    """Return penalties of known companies, from the first to before the last."""
    return [
        {n: penalty(k, subject_name=f"湖南示例{k}有限公司", uscc=uscc(k), **more)[n] for n in NAMES}
        for k in range(first, last)
    ]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (rows(0, 24), rows(24, 48), True),
        (rows(0, 24), rows(0, 24, authority_name="示例市市场监督管理局"), True),  # a key field written otherwise
        (rows(0, 24), rows(8, 32), False),
        (rows(0, 24), rows(0, 24, decision_no="湘示罚〔2026〕9号")[:1] + rows(1, 24), False),
        (rows(0, 12), rows(12, 24), False),  # short lists may well be replaced
    ],
)
def test_a_list_that_replaces_most_of_the_one_before_is_told(tmp_path, before, now, told):
    office = Office(tmp_path)
    office.contract("companies", "registration", ("subject_name", "uscc", "region_code"))
    office.deliver("companies", *[company(n) for n in range(48)], day=0)
    office.contract("penalties", "penalty", NAMES, mode="full")
    office.deliver("penalties", *before, day=1)
    account = office.deliver("penalties", *now, day=2)
    findings = office.verdict("penalties", account["batch_id"]).findings
    found = {f.rule for f in findings if f.severity == "warning"}
    assert (account["verdict"], found) == (("warn", {"full.other_list"}) if told else ("accept", set()))
