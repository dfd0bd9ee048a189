"""A throw-away Airflow that sees this tree's dags/ and plugins/: environment, commands, what its database says."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from warm import Warm

PROJECT = Path(__file__).resolve().parents[1]


class AirflowHome:
    """Airflow on SQLite below `folder`, with contracts and a Chengxin home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contracts = folder / "contracts"
        self.home = folder / "home"
        self._warm: Warm | None = None
        self.contracts.mkdir(parents=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CHENGXIN", "_AIRFLOW"))}
        self.environment = kept | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "CHENGXIN_HOME": str(self.home),
            "CHENGXIN_CONTRACTS": str(self.contracts),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def airflow(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run an Airflow command; its output is one text."""
        if self._warm is None or self._warm.environment != self.environment:
            self.close()
            self._warm = Warm("airflow", self.environment)
        return self._warm.run(words, folder=self.folder, together=True)

    def close(self) -> None:
        """End the process whose forks are the commands."""
        if self._warm is not None:
            self._warm.close()
        self._warm = None

    def python(self, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program text in Airflow's environment."""
        return subprocess.run(
            [sys.executable, "-c", program],
            env=self.environment | environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )

    def states(self, dag_id: str, task_id: str) -> list[str]:
        """Return the states of a task's instances over all runs, sorted."""
        with sqlite3.connect(self.folder / "airflow" / "airflow.db") as database:
            found = database.execute(
                "select state from task_instance where dag_id = ? and task_id = ?", (dag_id, task_id)
            )
            return sorted(str(state) for (state,) in found)

    def events(self, asset: str) -> list[str]:
        """Return what the events of an asset carry, as JSON texts, oldest first."""
        with sqlite3.connect(self.folder / "airflow" / "airflow.db") as database:
            found = database.execute(
                "select e.extra from asset_event e join asset a on a.id = e.asset_id where a.name = ? order by e.id",
                (asset,),
            )
            return [str(extra) for (extra,) in found]
