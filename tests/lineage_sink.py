"""A server that takes OpenLineage events over HTTP, and how an event is held against the specification."""

import json
import re
import types
import typing
from datetime import datetime
from enum import Enum
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from typing import Any
from uuid import UUID

import attr
import jsonschema
from openlineage.client import event_v2, facet_v2


class LineageSink(ThreadingHTTPServer):
    """Keeps what is posted to /api/v1/lineage; anything else is a 404."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def __enter__(self) -> "LineageSink":
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def transport(self) -> str:
        """Return the value of AIRFLOW__OPENLINEAGE__TRANSPORT."""
        return json.dumps({"type": "http", "url": f"http://127.0.0.1:{self.server_port}"})


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path == "/api/v1/lineage" and self.headers["Content-Type"].startswith("application/json")
        if known:
            self.server.events.append(json.loads(body))
        self.send_response(201 if known else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def check(event: dict[str, Any]) -> None:
    """Raise AssertionError or ValidationError where an event is not as the specification has it.

    The client's classes are generated from the specification's JSON Schema: what they declare is read back into a
    schema. Airflow's own facets are held against the JSON Schemas that its provider ships.
    """
    _validator(event_v2.RunEvent).validate(event)
    assert re.search(r"/spec/2-\d+-\d+/OpenLineage\.json#/\$defs/RunEvent$", event["schemaURL"])
    assert event["producer"].startswith("http")
    assert datetime.fromisoformat(event["eventTime"]).tzinfo
    UUID(event["run"]["runId"])
    datasets = [*event.get("inputs", []), *event.get("outputs", [])]
    holders = [event["run"].get("facets"), event["job"].get("facets")]
    holders += [d.get(kind) for d in datasets for kind in ("facets", "inputFacets", "outputFacets")]
    for facets in holders:
        for name, facet in (facets or {}).items():
            _check_facet(name, facet)


def _check_facet(name: str, facet: dict[str, Any]) -> None:
    assert facet["_producer"].startswith("http"), name
    kind = facet["_schemaURL"].rpartition("/")[2]
    found = next((m for m in vars(facet_v2).values() if isinstance(m, types.ModuleType) and hasattr(m, kind)), None)
    if found:
        assert getattr(found, kind)._get_schema() == facet["_schemaURL"]
        _validator(getattr(found, kind)).validate(facet)
        return
    shipped = files("airflow.providers.openlineage.facets").joinpath(f"{kind}.json")
    if shipped.is_file():  # its own part; what it refers to was checked above
        schema = json.loads(shipped.read_text("utf-8"))["$defs"][kind]["allOf"][1]
        jsonschema.validate(facet, {**schema, "$defs": json.loads(shipped.read_text("utf-8"))["$defs"]})
        return
    assert "openlineage" in facet["_schemaURL"], f"{name}: nobody says what {facet['_schemaURL']} is"


@cache
def _validator(kind: type) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_schema(kind))


def _schema(kind: Any, within: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return the JSON Schema of a type as the client's generated classes declare it; a class within itself is free."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema(one, within) for one in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], within)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], within)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if isinstance(kind, type) and attr.has(kind):
        if kind in within:
            return {"type": "object"}
        declared = typing.get_type_hints(kind)
        fields = [f for f in attr.fields(kind) if not f.name.startswith("_skip")]
        return {
            "type": "object",
            "properties": {f.name: _schema(declared[f.name], (*within, kind)) for f in fields},
            "required": [f.name for f in fields if f.default is attr.NOTHING],
        }
    return {str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
            type(None): {"type": "null"}}.get(kind, {})  # fmt: skip
