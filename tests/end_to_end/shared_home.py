"""A recipient with a grant, a proposed withdrawal and what the recipient was handed, in an office's home."""

from datetime import timedelta

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.pipeline import acts
from chengxin.records.access_log import AccessLog, Reading
from chengxin.store import journal
from deliveries import START, Office


def grant(office: Office) -> None:
    """Grant a city the penalties."""
    folder = office.settings.recipients
    folder.mkdir()
    grant = "{kinds: [penalty], regions: ['4301'], columns: {drop: [legal_rep_name]}}"
    (folder / "city.yaml").write_text(
        "{format: 1, id: city, title: 示例市信用办, level: government, basis: 示例函1号, purpose: 城市信用监测,"
        f" valid: {{from: 2026-01-01, to: 2026-12-31}}, grants: [{grant}]}}",
        "utf-8",
    )


def propose_withdrawal(office: Office) -> None:
    """Propose to withdraw the penalty that is published, which the city was handed; its notice is void till then."""
    [[record]] = office.table("penalty", "record_id")[:1]
    target, day = acts.Target(record_id=record), START.date() + timedelta(days=6)
    home = Home(office.settings, Clock(START + timedelta(days=6)))
    case = acts.enter(home, "withdrawal", target, by="甲", document="撤〔2026〕1号", day=day)
    reading = Reading("city", "government", "20260305T020000Z-000000")
    AccessLog(office.layout.accesses, home.clock).note_answer(reading, {1}, [record], 1)
    notice = {"act": case.act.id, "holder": "city", "record_id": record, "handle": "", "kind": "penalty"}
    journal.append_chained(
        office.layout.notices, journal.Head(), {**notice, "tier": "government", "at": home.clock.now().isoformat()}
    )
