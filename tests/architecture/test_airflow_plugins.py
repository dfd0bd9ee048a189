"""Airflow executes every file below plugins/ under its bare stem, unless .airflowignore hides it."""

import json

import pytest

from airflow_home import PROJECT, AirflowHome

pytestmark = pytest.mark.airflow

LOAD = """
import json, sys
from airflow import plugins_manager
found, errors = plugins_manager._get_plugins()
plugins = {folder!r}
executed = sorted(n for n, m in sys.modules.items() if str(getattr(m, "__file__", None) or "").startswith(plugins))
replaced = [n for n in executed if n.split(".")[0] in sys.stdlib_module_names]
print(json.dumps([sorted(p.name for p in found if p.name == "chengxin"), errors, executed, replaced]))
""".format(folder=str(PROJECT / "plugins") + "/")


def test_airflow_executes_only_the_one_plugin_file(tmp_path):
    done = AirflowHome(tmp_path).python(LOAD)
    assert done.returncode == 0, done.stdout
    plugins, errors, executed, replaced = json.loads(done.stdout.splitlines()[-1])
    assert plugins == ["chengxin"]
    assert errors == {}
    # under its own name the package may be imported, but only what is cheap: every task process loads the plugin
    assert [name for name in executed if name.split(".")[0] != "chengxin"] == ["chengxin_airflow"]
    assert "chengxin.orchestration.pages.app" not in executed
    assert "chengxin.pipeline" not in executed
    assert replaced == []


def test_one_plugin_file_and_one_ignore_line():
    assert (PROJECT / "plugins" / ".airflowignore").read_text() == "chengxin/\n"
    assert [path.name for path in (PROJECT / "plugins").glob("*.py")] == ["chengxin_airflow.py"]
