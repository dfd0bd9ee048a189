"""One alert a cause: said once, reminded after days, taken back when it is over; a dead channel fails nothing."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alert_sinks import MailSink
from chengxin.clock import Clock
from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import KINDS, Cause
from chengxin.operations.alerts.channels import Log, channels
from chengxin.operations.alerts.notices import deliver
from chengxin.settings import Settings
from chengxin.store.layout import Layout
from servers import Answer, Api

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
CAUSE = Cause("failed", "tax_arrears", "读不出来", "land:DeliveryCorrupt", title="欠税公告", department="省税务局")


def at(**later: float) -> Clock:
    return Clock(NOW + timedelta(**later))


@pytest.fixture
def book(settings) -> Book:
    return Book(Layout(settings.home))


def read(variables):
    return Settings.from_environment(env=variables).alerts


def made(variables):
    return channels(read(variables))


@pytest.fixture
def mail():
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture
def by_mail(mail):
    return made(
        {
            "CHENGXIN_ALERTS": "mail",
            "CHENGXIN_ALERTS_SMTP": f"smtp+plain://127.0.0.1:{mail.port}",
            "CHENGXIN_ALERTS_MAIL_FROM": "chengxin@example.invalid",
            "CHENGXIN_ALERTS_MAIL_TO": "zhiban@example.invalid, xinxi@example.invalid",
        }
    )


def test_a_cause_is_named_by_what_and_whose_it_is_never_by_what_was_said_of_it():
    other_words = Cause("failed", "tax_arrears", "另一次的说法", "land:DeliveryCorrupt", page="/runs/2")
    assert other_words.id == CAUSE.id
    assert (
        len({CAUSE.id, Cause("failed", "tax_arrears", "", "answer:X").id, Cause("failed", "a", "", "land:X").id}) == 3
    )


def test_it_is_said_once_reminded_after_a_week_and_taken_back(book, settings, mail, by_mail):
    for hour in range(3):
        book.open(CAUSE, at(hours=hour).now())
        deliver(Home(settings, at(hours=hour)), by_mail)
    assert mail.subjects == ["【诚信湖南】告警：任务失败｜省税务局｜欠税公告"]
    deliver(Home(settings, at(days=6.9)), by_mail)
    assert len(mail.messages) == 1
    deliver(Home(settings, at(days=7.2)), by_mail)
    deliver(Home(settings, at(days=7.3)), by_mail)
    assert [s.split("：")[0] for s in mail.subjects] == ["【诚信湖南】告警", "【诚信湖南】仍未处理"]
    book.close(lambda entry: entry.id == CAUSE.id, at(days=8).now())
    deliver(Home(settings, at(days=8)), by_mail)
    deliver(Home(settings, at(days=30)), by_mail)
    assert [s.split("：")[0] for s in mail.subjects][2:] == ["【诚信湖南】已恢复"]
    assert book.entries() == []


def test_the_text_says_what_happened_whose_it_is_and_what_to_press(book, settings, mail, by_mail):
    book.open(Cause("held", "tax_arrears", "列名不符", "x", "欠税公告", "省税务局", "b-1", "/chengxin/b-1"), NOW)
    shown = replace(settings, alerts=read({"CHENGXIN_ALERTS_ADDRESS": "http://airflow.example.invalid/"}))
    deliver(Home(shown, at()), by_mail)
    text = mail.messages[0].get_content()
    for part in ("列名不符", "省税务局", "欠税公告（tax_arrears）", "b-1", KINDS["held"].press, "2026-11-25 10:00"):
        assert part in text
    assert "http://airflow.example.invalid/chengxin/b-1" in text
    assert mail.messages[0]["To"] == "zhiban@example.invalid, xinxi@example.invalid"


def test_a_channel_that_is_down_loses_nothing_and_does_not_stop_another(book, settings, mail, by_mail, caplog):
    mail.refusing = True
    book.open(CAUSE, NOW)
    assert deliver(Home(settings, at()), [*by_mail, Log()]) == 1
    assert "任务失败" in caplog.text
    mail.refusing = False
    assert deliver(Home(settings, at(minutes=1)), [*by_mail, Log()]) == 0, "not asked again at once"
    assert deliver(Home(settings, at(minutes=6)), [*by_mail, Log()]) == 1
    assert len(mail.messages) == 1


@pytest.mark.usefixtures("mail")
def test_what_was_over_before_a_channel_heard_of_it_is_not_mentioned(book, settings, by_mail):
    book.open(CAUSE, NOW)
    book.close(lambda _: True, at(minutes=1).now())
    assert deliver(Home(settings, at(minutes=2)), by_mail) == 0
    assert book.entries() == []
    book.open(CAUSE, at(hours=1).now())
    assert deliver(Home(settings, at(hours=1)), by_mail) == 1, "the same trouble later is news"


def test_batches_held_for_one_reason_are_one_cause_until_the_last_is_settled(book, settings, mail, by_mail):
    for batch in ("b-1", "b-2"):
        book.open(Cause("held", "tax_arrears", "列名不符", "delivery", item=batch), NOW)
        deliver(Home(settings, at()), by_mail)
    assert len(mail.messages) == 1
    book.drop_items("held", ["b-1"], at(hours=1).now())
    (left,) = book.open_entries()
    assert left.items == ("b-2",)
    book.drop_items("held", ["b-2"], at(hours=2).now(), "审批人甲")
    deliver(Home(settings, at(hours=2)), by_mail)
    assert "由 审批人甲 处理" in mail.messages[1].get_content()


@pytest.mark.usefixtures("settings")
def test_a_full_look_opens_and_closes_all_of_a_kind(book):
    first, second = (Cause("overdue", name, "迟") for name in ("a", "b"))
    book.open(CAUSE, NOW)
    book.settle("overdue", [first, second], NOW)
    book.settle("overdue", [second], at(days=1).now())
    assert {e.cause.about for e in book.open_entries()} == {"b", CAUSE.about}


def test_the_webhook_gets_signed_json():
    api = Api(lambda asked: Answer(b"{}"), with_asked=True)
    given = {"CHENGXIN_ALERTS": "webhook", "CHENGXIN_ALERTS_WEBHOOK": api.url, "CHENGXIN_ALERTS_WEBHOOK_KEY": "geheim"}
    (webhook,) = made(given)
    book_entry = _told(webhook)
    api.close()
    (asked,) = api.asked
    assert asked.headers["X-Chengxin-Signature"] == "sha256=" + hmac.digest(b"geheim", asked.body, "sha256").hex()
    assert asked.json["event"] == "opened"
    assert (asked.json["kind"], asked.json["about"], asked.json["id"]) == ("failed", "tax_arrears", book_entry.id)


def _told(channel):
    from chengxin.operations.alerts.book import Entry
    from chengxin.operations.alerts.notices import notice

    entry = Entry(id=CAUSE.id, cause=CAUSE, opened_at=NOW.isoformat(), seen_at=NOW.isoformat())
    channel.tell(notice(entry, "opened", ""))
    return entry


def test_a_webhook_that_refuses_is_a_channel_that_failed_and_its_address_is_not_shown(book, settings, caplog):
    api = Api(lambda asked: Answer(b"", status=500), with_asked=True)
    (webhook,) = made({"CHENGXIN_ALERTS": "webhook", "CHENGXIN_ALERTS_WEBHOOK": f"{api.url}/hidden-token"})
    book.open(CAUSE, NOW)
    assert deliver(Home(settings, at()), [webhook]) == 0
    api.close()
    assert "webhook" in caplog.text
    assert "hidden-token" not in caplog.text + json.dumps([e.as_json() for e in book.entries()])


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"CHENGXIN_ALERTS": "pigeon"}, "pigeon"),
        ({"CHENGXIN_ALERTS": "mail"}, "CHENGXIN_ALERTS_SMTP"),
        ({"CHENGXIN_ALERTS": "webhook"}, "CHENGXIN_ALERTS_WEBHOOK"),
    ],
)
def test_a_channel_without_what_it_needs_is_named(given, missing):
    with pytest.raises(ContractError, match=missing):
        made(given)


def test_a_password_never_goes_without_tls():
    given = {"CHENGXIN_ALERTS_SMTP": "smtp+plain://user:word@host", "CHENGXIN_ALERTS_MAIL_FROM": "a@example.invalid"}
    with pytest.raises(ContractError, match="STARTTLS"):
        made({"CHENGXIN_ALERTS": "mail", "CHENGXIN_ALERTS_MAIL_TO": "b@example.invalid", **given})


def test_off_means_none_and_the_default_is_the_log():
    assert made({"CHENGXIN_ALERTS": "off"}) == []
    assert [channel.name for channel in made({})] == ["log"]
