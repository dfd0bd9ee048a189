"""Land a batch that we made ourselves from rows of another (replay). It exists when its receipt does, as any batch."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from chengxin.clock import SHANGHAI
from chengxin.connectors.landing import PAYLOAD, RECEIPT, payload_digest
from chengxin.contracts.derivation import REPLAY
from chengxin.facts import Batch, LandedFile, as_json
from chengxin.home import Home
from chengxin.store.atomic import BUILDING, fsync_folder, sha256_file, sync_tree, write_json
from chengxin.store.lock import held


def land_replay(home: Home, original: Batch, fill: Callable[[Path], None]) -> Batch:
    """Land what `fill` writes into a folder as a replay of rows of `original`. The same rows are the same batch.

    It bears the times of the original: its rows said what they say at that time.
    """
    layout = home.layout
    folder = layout.landing(original.dataset, "").resolve()
    building = folder / f"{BUILDING}replay"
    with held(layout, f"landing-{original.dataset}"):
        shutil.rmtree(building, ignore_errors=True)
        (building / PAYLOAD).mkdir(parents=True)
        try:
            fill(building / PAYLOAD)
            files = tuple(
                LandedFile(p.name, p.stat().st_size, sha256_file(p)) for p in sorted((building / PAYLOAD).iterdir())
            )
            digest = payload_digest(files)
            own = hashlib.sha256(f"{REPLAY}{original.batch_id} {digest}".encode()).hexdigest()
            day = original.as_of.astimezone(SHANGHAI).strftime("%Y%m%d")
            batch = Batch(
                dataset=original.dataset,
                batch_id=f"{original.dataset}-{day}-{own[:12]}",
                mode="incremental",
                origin=f"{REPLAY}{original.batch_id}",
                delivery=f"{original.delivery}（重放）",
                received_at=original.received_at,
                as_of=original.as_of,
                files=files,
            )
            if not (folder / batch.batch_id).exists():
                write_json(building / RECEIPT, {**as_json(batch), "payload_sha256": digest, "locator": {}})
                sync_tree(building)
                building.rename(folder / batch.batch_id)
                fsync_folder(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return batch
