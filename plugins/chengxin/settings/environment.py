"""The environment of this process: read, set and handed to other processes here and nowhere else."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def secret(name: str, env: Mapping[str, str] | None = None) -> str | None:
    """Return a secret: the variable `name`, else what the file holds that is named by `<name>_FILE`.

    Else the file `name` in the folder CHENGXIN_CREDENTIALS; None where there is none. Raises OSError, in words, where a
    file cannot be read: a secret that is missing must not pass for none.
    """
    env = os.environ if env is None else env
    if value := env.get(name, "").strip():
        return value
    place, folder = env.get(f"{name}_FILE", "").strip(), env.get("CHENGXIN_CREDENTIALS", "").strip()
    if not place and folder and (Path(folder) / name).exists():
        place = str(Path(folder) / name)
    if not place:
        return None
    try:
        return Path(place).read_text("utf-8").strip() or None
    except OSError as error:
        raise OSError(error.errno, f"{name} 的文件读不到（{error.strerror}）") from None


def environment() -> dict[str, str]:
    """Return a copy of the environment, for a process that we start."""
    return dict(os.environ)


def put(values: Mapping[str, str]) -> None:
    """Set variables for this process, the libraries in it and the processes that it starts."""
    os.environ.update(values)


def put_default(values: Mapping[str, str]) -> None:
    """Set those variables that are not set."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def lent(name: str, value: str) -> Iterator[None]:
    """Set a variable for a moment."""
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def authorities() -> str | None:
    """Return the file of the certificate authorities that `requests` is told to trust."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or None


def running_task() -> str | None:
    """Return the DAG and the task of Airflow's that this process runs."""
    dag, task = (os.environ.get(f"AIRFLOW_CTX_{part}") for part in ("DAG_ID", "TASK_ID"))
    return f"{dag}.{task}" if dag else None
