"""The catalogue of a snapshot: which data sets feed it, whose they are, on what basis, and what their columns mean."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import kind_columns
from chengxin.store.manifest import Manifest
from chengxin.store.pointer import CATALOGUE


def catalogue(contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """Return the content of the government tier's catalogue.json.

    A sealed data set is listed too (what is collected must stand in the catalogue), without table and columns.
    """
    known = kinds()
    listed = [_dataset(contracts[name], known[contracts[name].kind]) for name in sorted(contracts)]
    return {"format": 1, "tier": "government", "datasets": listed}


def for_tier(government: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Return the catalogue of another tier from that of the government snapshot in folder `government`.

    It lists only data sets whose table the tier has, with the columns it has, and what became of the kind's rows that
    are published without a name; None when there is no catalogue.
    """
    path = government / CATALOGUE
    if not path.exists():
        return None
    listed = []
    for entry in json.loads(path.read_bytes())["datasets"]:
        table = manifest.tables.get(entry["table"])
        if table is not None:
            present = {column.name for column in table.schema}
            shown = {**entry, "columns": [c for c in entry["columns"] if c["name"] in present]}
            nameless = manifest.basis.anonymity.get(entry["table"])
            listed.append({**shown, **({"anonymity": nameless} if nameless else {})})
    return {"format": 1, "tier": manifest.tier, "datasets": listed}


def _dataset(contract: Contract, kind: Kind) -> dict[str, Any]:
    sealed = kind.sealed or contract.basis.share == "不予"
    columns = [] if sealed else [{"name": c.name, "type": c.type, "title": c.title} for c in kind_columns(kind)]
    return {
        "id": contract.id,
        "title": contract.title,
        "department": {"code": contract.department.code, "name": contract.department.name},
        "region": contract.region,
        "class": kind.catalogue_class,
        "basis": contract.basis.legal,
        "share": contract.basis.share,
        "condition": contract.basis.condition,
        "mode": contract.delivery.mode,
        "cadence": contract.delivery.cadence,
        **({"route": contract.delivery.route.model_dump()} if contract.delivery.route else {}),
        "table": None if sealed else kind.id,
        "columns": columns,
    }
