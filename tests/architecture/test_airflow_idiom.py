"""Nothing of Airflow's that is deprecated: plugin file, pages, listeners, DAGs."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow.sdk
import pytest

from airflow_home import PROJECT, AirflowHome

OURS = [*(PROJECT / "dags").glob("*.py"), *(PROJECT / "plugins").glob("*.py")]
OURS += sorted((PROJECT / "plugins" / "chengxin" / "orchestration").rglob("*.py"))
SETTING = [PROJECT / "docker-compose.yml", PROJECT / "docs" / "deployment.md"]
SETTING += [*(PROJECT / "plugins" / "chengxin" / "cli").glob("*.py"), *(PROJECT / "tests").glob("*.py")]
PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
LEFT_BEHIND = (
    "airflow.contrib", "airflow.datasets", "airflow.decorators", "airflow.hooks", "airflow.models.baseoperator",
    "airflow.models.param", "airflow.operators", "airflow.sensors", "airflow.utils.dates", "airflow.utils.task_group",
    "airflow.utils.trigger_rule", "airflow.utils.weight_rule", "airflow.io",
)  # fmt: skip

LOAD = """
import json, pkgutil, warnings
from importlib import import_module
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    from airflow import plugins_manager
    plugins, errors = plugins_manager._get_plugins()
    (plugin,) = [p for p in plugins if p.name == "chengxin"]
    from airflow.listeners.listener import get_listener_manager
    for listener in plugin.listeners:
        get_listener_manager().add_listener(listener)
    import chengxin.orchestration
    names = [m.name for m in pkgutil.walk_packages(chengxin.orchestration.__path__, "chengxin.orchestration.")]
    for name in names:
        import_module(name)
    from chengxin.orchestration.pages.app import create_app
    create_app()
said = {f"{w.category.__name__}: {w.message} ({w.filename})" for w in heard}
told = sorted(s for s in said if any(word in s.partition(":")[0] for word in ("Deprecat", "Removed", "Future")))
print(json.dumps([errors, len(names), told]))
"""


@pytest.mark.slow
@pytest.mark.airflow
def test_loading_the_plugin_warns_of_nothing_deprecated(tmp_path):
    done = AirflowHome(tmp_path).python(LOAD)
    assert done.returncode == 0, done.stdout
    errors, modules, told = json.loads(done.stdout.splitlines()[-1])
    assert errors == {}
    assert modules > 20
    assert [line for line in told if "airflow" in line.lower() or "chengxin" in line] == []


def test_what_the_task_sdk_exports_is_imported_from_it():
    deep = {
        f"{path.relative_to(PROJECT)}: {node.module}.{name.name}"
        for path, node in _nodes(ast.ImportFrom)
        for name in node.names
        if (node.module or "").startswith("airflow.sdk.") and name.name in airflow.sdk.__all__
    }
    assert deep == set()


def test_nothing_comes_from_a_module_that_airflow_3_left_behind():
    found = {
        f"{path.relative_to(PROJECT)}: {node.module}"
        for path, node in _nodes(ast.ImportFrom)
        if (node.module or "").startswith(LEFT_BEHIND)
    }
    assert found == set()


def test_airflows_database_is_asked_in_the_present_style():
    calls = {
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path, node in _nodes(ast.Call)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "query"
    }
    assert calls == set(), "select() instead of Session.query"


def test_every_schedule_names_its_zone():
    presets = {f"{path.relative_to(PROJECT)}: {n.value}" for path, n in _nodes(ast.Constant) if n.value in PRESETS}
    assert presets == set(), "a preset runs in UTC"


def test_every_setting_of_airflow_is_known_and_not_deprecated():
    from airflow.configuration import conf

    known = {
        (section.upper(), option.upper()): facts.get("version_deprecated")
        for section, described in conf.configuration_description.items()
        for option, facts in described["options"].items()
    }
    used = {
        (section, option.removesuffix("_CMD"))
        for path in (*SETTING, *OURS)
        for section, option in re.findall(r"AIRFLOW__([A-Z_]+?)__([A-Z0-9_]+)", path.read_text("utf-8"))
    }
    assert len(used) > 20
    assert {name for name in used if name not in known or known[name]} == set()


def _nodes(kind: type) -> Iterator[tuple[Path, Any]]:
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, kind):
                yield path, node
