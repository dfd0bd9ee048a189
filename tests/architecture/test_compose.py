"""docker-compose.yml and Dockerfile fit each other, this tree and Airflow; no secret has a default."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
AIRFLOW = {"migrate", "api-server", "scheduler", "dag-processor", "triggerer"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


def test_all_airflow_services_run_the_one_image_of_this_tree(compose):
    services = compose["services"]
    assert set(services) == AIRFLOW | {"postgres"}
    assert {name for name, s in services.items() if s.get("build") == "." and s["image"] == "chengxin:local"} == AIRFLOW
    commands = {name: services[name]["command"] for name in AIRFLOW - {"migrate"}}
    assert commands == {name: f"airflow {name}" for name in commands}
    assert services["migrate"]["command"] == "airflow db migrate"


def test_what_is_referred_to_is_declared(compose):
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source.startswith("$") or source in compose["volumes"]


def test_every_used_secret_is_mounted_where_it_is_read(compose):
    for service in compose["services"].values():
        read = set(re.findall(r"/run/secrets/(\w+)", str(service["environment"])))
        assert read == set(service["secrets"])


def test_no_secret_has_a_default(compose):
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert "secrets/" in ignored
    for service in compose["services"].values():
        for key, value in service["environment"].items():
            if re.search(r"PASSWORD|SECRET|KEY|CONN", key):
                assert str(value).removeprefix("cat ").startswith("/run/secrets/"), key


def test_airflow_knows_every_setting_the_services_give(compose):
    from airflow.configuration import conf

    given = {key for s in compose["services"].values() for key in s["environment"] if key.startswith("AIRFLOW__")}
    for key in given:
        section, option = key.removeprefix("AIRFLOW__").lower().removesuffix("_cmd").split("__")
        assert option in conf.configuration_description[section]["options"], key
        assert not key.endswith("_CMD") or (section, option) in conf.sensitive_config_values, key


def test_published_ports_stay_on_this_machine(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_installs_the_lock_and_copies_only_what_exists():
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert re.search(r"^FROM python:3\.11-", dockerfile, re.MULTILINE)
    assert re.search(r"^USER (?!root)", dockerfile, re.MULTILINE)
    copied = {name for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]}
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((PROJECT / name).exists() for name in copied)
