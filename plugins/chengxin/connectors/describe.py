"""Write docs/reference/connectors.md from the option models of the connectors.

`python -m chengxin.connectors.describe` writes the page; with `--check` it only reports that it is out of date.
"""

import sys
from typing import Any

from chengxin.connectors.base import Options
from chengxin.connectors.database.options import DatabaseOptions
from chengxin.connectors.files.options import FileDropOptions
from chengxin.connectors.http.options import HttpApiOptions
from chengxin.connectors.http.session import HttpConnection
from chengxin.contracts.describe import begin_page, describe_blocks, join_lines, write_or_check

CONNECTORS: dict[str, type[Options]] = {
    "file_drop": FileDropOptions,
    "http_api": HttpApiOptions,
    "database": DatabaseOptions,
}


def pages() -> dict[str, str]:
    """Return the reference page: file name -> text."""
    words = "合同 `delivery.connector` 的取值，及各自 `delivery.options` 的键。未知的键一律拒绝；凭据只放在环境变量里。"
    lines = begin_page("接入方式 Connectors", words, "connectors")
    lines += ["How to use them: [files](../sources/files.md), [HTTP](../sources/http.md), ", ""]
    lines[-2] += "[databases](../sources/databases.md)."
    schemas: dict[str, dict[str, Any]] = {}
    for name, model in CONNECTORS.items():
        whole = model.model_json_schema()
        schemas |= {f"{name}: {model.__name__}": whole} | whole.get("$defs", {})
    # What a connector shares with the receiver of answers is described once.
    own = HttpConnection.model_json_schema()
    schemas[HttpConnection.__name__] = own
    pull = schemas[f"http_api: {HttpApiOptions.__name__}"]
    pull["properties"] = {key: body for key, body in pull["properties"].items() if key not in own["properties"]}
    return {"connectors.md": join_lines([*lines, *describe_blocks(schemas, schemas)])}


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check compare it. Return the exit code."""
    return write_or_check(pages, "connectors", arguments)


if __name__ == "__main__":
    sys.exit(main())
