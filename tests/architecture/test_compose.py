"""docker-compose.yml and Dockerfile fit each other, this tree and Airflow; no secret has a default."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compose_stack import image_environment, load_compose

PROJECT = Path(__file__).resolve().parents[2]
AIRFLOW = {"migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
STORES = {"postgres", "redis", "objects"}
USERS = {"postgres": "postgres", "redis": "redis", "objects": "50000:50000"}
OURS = AIRFLOW | {"serve"}
TREE = {"build", "image", "init", "restart", "cap_drop", "security_opt", "stop_grace_period", "environment", "secrets"}
TREE |= {"read_only", "volumes", "depends_on", "command", "healthcheck", "deploy", "ports", "user", "group_add"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load_compose()


def test_compose_itself_takes_the_file(tmp_path):
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("no docker client with compose here")
    subprocess.run(
        [PROJECT / "deploy" / "stack", "secrets"], env={**os.environ, "CHENGXIN_STACK_FOLDER": str(tmp_path)}
    )
    words = [docker, "compose", "--project-directory", tmp_path, "--file", PROJECT / "docker-compose.yml"]
    done = subprocess.run([*words, "config", "--quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_all_airflow_services_run_the_one_image_of_this_tree(compose):
    services = compose["services"]
    assert set(services) == OURS | STORES
    assert {name for name, s in services.items() if s.get("build") == "." and s["image"] == "chengxin:local"} == OURS
    commands = {name: services[name]["command"] for name in AIRFLOW - {"migrate", "worker"}}
    assert commands == {name: f"airflow {name}" for name in commands}
    assert services["migrate"]["command"].startswith("sh -c 'airflow db migrate && airflow users create ")
    assert services["worker"]["command"] == "airflow celery worker"
    assert all(services[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor" for name in AIRFLOW)


def test_only_what_compose_knows_is_written(compose):
    parts = {"x-airflow", "x-metadata", "x-tokens", "x-logs", "x-queue", "x-home"}
    assert set(compose) == {*parts, "services", "secrets", "volumes"}
    assert {name: set(s) - TREE for name, s in compose["services"].items() if set(s) - TREE} == {}


def test_every_service_has_limits_and_a_health_check_if_it_stays(compose):
    for name, service in compose["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert name == "migrate" or {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"]), name
        conditions = {n: d["condition"] for n, d in service.get("depends_on", {}).items()}
        for other, condition in conditions.items():
            waits = "healthcheck" in compose["services"][other]
            assert condition == ("service_healthy" if waits else "service_completed_successfully")


def test_nothing_runs_as_root_or_can_become_it(compose):
    for name, service in compose["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name in OURS or service["user"] == USERS[name], name
        assert service["cap_drop"] == ["ALL"], name


def test_only_workers_hold_the_home_and_the_connections(compose):
    home = image_environment()["CHENGXIN_HOME"]
    mounts = {name: s["volumes"] for name, s in compose["services"].items()}
    assert {name for name, m in mounts.items() if f"home:{home}" in m} == {"worker"}
    assert {name for name, m in mounts.items() if f"home:{home}:ro" in m} == {"api-server", "serve"}
    assert [m for m in mounts["worker"] if m.endswith("/inbox:ro")]
    assert {name for name, m in mounts.items() if "./secrets/connections:/run/credentials:ro" in m} == {"worker"}
    assert compose["services"]["worker"]["environment"]["CHENGXIN_CREDENTIALS"] == "/run/credentials"
    assert not [name for name, s in compose["services"].items() if "env_file" in s], "secrets come from files"


def test_services_with_the_home_wait_for_the_object_store(compose):
    services = compose["services"]
    having = {name for name, s in services.items() if "CHENGXIN_HOME" in s.get("environment", {})}
    assert having == {name for name, s in services.items() if "objects_credentials" in s["secrets"]}
    assert having == {"worker", "api-server", "serve"}
    for name in having:
        environment, mounts = services[name]["environment"], services[name]["volumes"]
        assert environment["CHENGXIN_HOME"] == "s3://chengxin/home"
        assert environment["AWS_ENDPOINT_URL"] == "http://objects:9000"
        assert "objects" in services[name]["depends_on"]
        folders = [mount.split(":")[1] for mount in mounts if not mount.endswith(":ro")]
        assert any(environment["CHENGXIN_WORK"].startswith(folder) for folder in folders), "its copies outlive it"
    work = services["worker"]["environment"]["CHENGXIN_WORK"]
    assert {f"{work}/inbox", f"{work}/outbox"} <= {m.split(":")[1] for m in services["worker"]["volumes"]}
    # the volume of the object store is first mounted where the image has a folder of its user
    assert "objects:/var/lib/chengxin" in services["migrate"]["volumes"]
    assert "--uid 50000" in (PROJECT / "Dockerfile").read_text()
    made = load_compose({"CHENGXIN_HOME": "/var/lib/chengxin"})["services"]["worker"]
    assert made["environment"]["CHENGXIN_HOME"] == image_environment()["CHENGXIN_HOME"], "or in a folder"


def test_a_task_reaches_no_database_and_no_settings_of_others(compose):
    having = {name for name, s in compose["services"].items() if "airflow_database" in s.get("secrets", [])}
    assert having == AIRFLOW - {"worker"}
    worker = compose["services"]["worker"]
    assert set(worker["secrets"]) == {"celery_broker", "api_secret", "objects_credentials"}
    assert not [key for key in worker["environment"] if "SQL_ALCHEMY" in key or "FERNET" in key or "JWT" in key]
    assert {n for n, s in compose["services"].items() if "jwt_secret" in s["secrets"]} == {"api-server", "scheduler"}
    mounts = {name: compose["services"][name]["volumes"] for name in AIRFLOW}
    assert {name for name, m in mounts.items() if "logs:/opt/airflow/logs" in m} == AIRFLOW
    assert {name for name, m in mounts.items() if "airflow:/opt/airflow" in m} == {"api-server"}


def test_no_more_tasks_are_queued_than_the_workers_take(compose):
    worker, scheduler = compose["services"]["worker"], compose["services"]["scheduler"]
    slots = worker["deploy"]["replicas"] * int(worker["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert int(scheduler["environment"]["AIRFLOW__CORE__PARALLELISM"]) == slots


def test_what_is_referred_to_is_declared(compose):
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"]


def test_every_used_secret_is_mounted_where_it_is_read(compose):
    for name, service in compose["services"].items():
        text = f"{service.get('environment')} {service['command'] if name in {'redis', 'migrate'} else ''}"
        assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(service["secrets"]), name


def test_no_secret_has_a_default(compose):
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert "secrets/" in ignored
    for service in compose["services"].values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|CONN", key):
                assert str(value).removeprefix("cat ").startswith("/run/secrets/"), key


def test_airflow_knows_every_setting_the_services_give(compose):
    from airflow.configuration import conf

    given = {
        key for s in compose["services"].values() for key in s.get("environment", {}) if key.startswith("AIRFLOW__")
    }
    for key in given:
        section, option = key.removeprefix("AIRFLOW__").lower().removesuffix("_cmd").split("__")
        assert option in conf.configuration_description[section]["options"], key
        assert not key.endswith("_CMD") or (section, option) in conf.sensitive_config_values, key


def test_secrets_are_made_once_and_fit_together(tmp_path, compose):
    environment = {**os.environ, "CHENGXIN_STACK_FOLDER": str(tmp_path)}
    for _ in range(2):
        subprocess.run([PROJECT / "deploy" / "stack", "secrets"], env=environment, check=True)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir() if path.is_file()}
        assert set(made) == set(compose["secrets"])
        assert made["airflow_database"] == f"postgresql+psycopg://airflow:{made['postgres_password']}@postgres/airflow"
        assert made["objects_credentials"].endswith(f"aws_secret_access_key = {made['objects_password']}")
        assert made["celery_broker"] == f"redis://:{made['redis_password']}@redis:6379/0"
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize("word", ["up", "down"])
def test_without_an_engine_up_and_down_say_so(tmp_path, word):
    environment = {**os.environ, "CHENGXIN_STACK_FOLDER": str(tmp_path), "DOCKER_HOST": "tcp://127.0.0.1:1"}
    done = subprocess.run(
        [PROJECT / "deploy" / "stack", word], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "引擎" in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_published_ports_stay_on_this_machine(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_installs_the_lock_and_copies_only_what_exists():
    dockerfile = (PROJECT / "Dockerfile").read_text()
    install = "--require-hashes --no-deps -r requirements.lock"
    assert install in dockerfile
    assert install in re.sub(r"\\\n\s*", "", (PROJECT / "Makefile").read_text())
    assert re.search(r"^FROM python:3\.11-", dockerfile, re.MULTILINE)
    assert re.search(r"^USER (?!root)", dockerfile, re.MULTILINE)
    copied = {name for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]}
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((PROJECT / name).exists() for name in copied)
