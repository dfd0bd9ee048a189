"""On a real scheduler: two failing runs are one alert, a late delivery is told by the hourly round, mending too."""

import os
import time
from pathlib import Path

import pytest
from test_airflow_dags import CONTRACT, GOOD

from airflow_processes import AirflowProcesses
from alert_sinks import MailSink
from chengxin.operations.alerts.book import Book
from chengxin.store.layout import Layout

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
DATASET = "commerce_late"
DAG = f"ingest__{DATASET}"
TWO_MONTHS = 60 * 86400


def deliver(inbox: Path, name: str, text: str, age: float = 0) -> None:
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_text(text, "utf-8")
    moment = time.time() - age
    os.utime(inbox / name, (moment, moment))


def test_one_alert_a_cause_and_one_word_when_it_is_over(processes: AirflowProcesses, mail: MailSink) -> None:
    text = CONTRACT.replace("commerce_demo", DATASET).replace("folder: demo", f"folder: {DATASET}")
    (processes.contracts / "commerce").mkdir(exist_ok=True)
    (processes.contracts / "commerce" / f"{DATASET}.yaml").write_text(text.replace("hourly", "weekly"), "utf-8")
    inbox = processes.home / "inbox" / DATASET
    deliver(inbox, "old.csv", GOOD, age=TWO_MONTHS)
    processes.switch(DAG, on=True)
    processes.trigger(DAG, "first")
    assert processes.ended(DAG, "first") == "success"
    assert not subjects(mail), "nothing has gone wrong yet"

    for run in ("wrong-1", "wrong-2"):
        processes.trigger(DAG, run, action="file", file=f"{DATASET}/none.csv")
        assert processes.ended(DAG, run) == "failed"
    processes.trigger("watch", "round")
    assert processes.ended("watch", "round") == "success"
    processes.until(lambda: len(subjects(mail)) == 2)
    of_it = "｜演示登记部门｜演示登记信息"
    assert subjects(mail) == [f"告警：任务失败{of_it}", f"告警：报送逾期{of_it}"]

    deliver(inbox, "new.csv", GOOD + "9,长沙示例九科技有限公司,,2019-09-09,430105\n")
    processes.trigger(DAG, "mended")
    assert processes.ended(DAG, "mended") == "success"
    processes.until(lambda: len(subjects(mail)) == 4)
    assert subjects(mail)[2:] == [f"已恢复：任务失败{of_it}", f"已恢复：报送逾期{of_it}"]
    assert Book(Layout(processes.home)).entries() == []


def subjects(mail: MailSink) -> list[str]:
    """Return what was said of this data set: the news sorted, then what is over, sorted."""
    about = [str(m["Subject"]).removeprefix("【诚信湖南】") for m in mail.messages if DATASET in m.get_content()]
    return sorted(about, key=lambda s: (not s.startswith("告警"), s))
