"""One Airflow on a private PostgreSQL for all tests that look what becomes of it when things go wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_processes import AirflowProcesses
from alert_sinks import MailSink
from servers import postgres_cluster


@pytest.fixture(scope="session")
def mail() -> Iterator[MailSink]:
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory, mail: MailSink) -> Iterator[AirflowProcesses]:
    folder: Path = tmp_path_factory.mktemp("processes")
    with postgres_cluster() as cluster:
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        processes = AirflowProcesses(
            folder,
            cluster,
            CHENGXIN_ALERTS="log,mail",
            CHENGXIN_ALERTS_SMTP=f"smtp+plain://127.0.0.1:{mail.port}",
            CHENGXIN_ALERTS_MAIL_FROM="chengxin@example.invalid",
            CHENGXIN_ALERTS_MAIL_TO="zhiban@example.invalid",
            CHENGXIN_APPROVAL="never",
        )
        try:
            processes.start()
            yield processes
        finally:
            processes.stop()
