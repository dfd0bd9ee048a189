"""Which snapshot of a tier is current, and whether it can be read: the pointer, the cheap check, the damage mark.

The pointer is the only mutable file of a tier. Readers never trust it alone: it carries the manifest's sha256, the
manifest carries size and sha256 of every file, and an unreadable newest snapshot gives way to the one before.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from chengxin.clock import Clock
from chengxin.errors import CommitConflict, CommitUnknown
from chengxin.store import manifest as manifests
from chengxin.store.atomic import BUILDING, fsync_folder, read_json, write_json
from chengxin.store.journal import Head
from chengxin.store.layout import CUT, Layout
from chengxin.store.manifest import FileEntry, Manifest

MARK = "DAMAGED.json"
CATALOGUE = "catalogue.json"
_MAGICS = (b"PAR1", b"PARE")  # the latter of an encrypted footer
_heads: dict[Path, tuple[bytes, Head | None]] = {}  # pointer -> its content, and what the manifest that it names tells


@dataclass(frozen=True)
class Pointer:
    """The content of current.json."""

    snapshot_id: str
    manifest_sha256: str
    sequence: int
    previous: str | None


@dataclass(frozen=True)
class Located:
    """The snapshot to serve: None when there is none to serve.

    warnings: in Chinese, one for each thing that is not as it should be. damaged: snapshot id -> problems.
    """

    manifest: Manifest | None
    warnings: tuple[str, ...]
    damaged: dict[str, tuple[str, ...]]


def load(layout: Layout, tier: str) -> Pointer | None:
    """Read the pointer; None when the tier has none. Raise ValueError when it is empty, torn or not a pointer."""
    try:
        data = read_json(layout.pointer(tier))
        pointer = Pointer(**data)
    except FileNotFoundError:
        return None
    except (TypeError, UnicodeDecodeError) as error:
        raise ValueError("指针内容不是 current.json 应有的样子") from error
    texts = (pointer.snapshot_id, pointer.manifest_sha256, pointer.previous or "")
    if not all(isinstance(text, str) for text in texts) or not isinstance(pointer.sequence, int):
        raise ValueError("指针内容类型不对")
    if len(pointer.manifest_sha256) != 64:
        raise ValueError("指针没有清单的摘要")
    return pointer


def move(layout: Layout, tier: str, *, expected: str | None, target: Manifest, manifest_sha256: str) -> None:
    """Let the pointer name `target`, durably. The caller holds the tier's publication lock.

    Raise CommitConflict when the pointer does not name `expected` any more, CommitUnknown when the rename may have
    happened and its durability is not known.
    """
    now = load(layout, tier)
    if (now.snapshot_id if now else None) != expected:
        raise CommitConflict(
            f"{tier} 层的当前快照已是 {now.snapshot_id if now else '（无）'}，不再是 {expected or '（无）'}；请重做"
        )
    reset(layout, tier, target=target, manifest_sha256=manifest_sha256)


def reset(layout: Layout, tier: str, *, target: Manifest, manifest_sha256: str) -> None:
    """Let the pointer name `target` whatever it said before. Raise CommitUnknown as `move` does."""
    path = layout.pointer(tier)
    new = Pointer(target.snapshot_id, manifest_sha256, target.sequence, target.previous)
    staged = path.with_name(BUILDING + path.name)
    try:
        with staged.open("wb") as stream:
            stream.write((json.dumps(asdict(new), indent=1, sort_keys=True) + "\n").encode())
            stream.flush()
            os.fsync(stream.fileno())
        staged.rename(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        if _names(layout, tier, new):
            raise CommitUnknown(f"移动指针时出错，但指针已指向 {target.snapshot_id}；请先核对再重试") from error
        raise
    try:
        fsync_folder(path.parent)
    except OSError as error:
        raise CommitUnknown(f"指针已指向 {target.snapshot_id}，但未能确认写入磁盘；请先核对再重试") from error


def _names(layout: Layout, tier: str, pointer: Pointer) -> bool:
    try:
        return load(layout, tier) == pointer
    except (ValueError, OSError):
        return True  # it cannot be told: the careful answer


def remove(layout: Layout, tier: str) -> None:
    """Take the pointer away, durably: nothing is published any more."""
    layout.pointer(tier).unlink(missing_ok=True)
    if layout.tier(tier).is_dir():
        fsync_folder(layout.tier(tier))


def cut_tiers(layout: Layout) -> list[str]:
    """Return the names of the tiers that were made for recipients, sorted."""
    return sorted(p.name for p in (layout.home / "published").glob(f"{CUT}*") if p.is_dir())


def snapshot_ids(layout: Layout, tier: str) -> list[str]:
    """Return the ids of all snapshot folders of a tier, sorted; folders under construction are left out."""
    folder = layout.tier(tier) / "snapshots"
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def read_manifest(folder: Path) -> Manifest:
    """Read and unseal a snapshot's manifest; raise ValueError (Chinese) when it is missing or damaged."""
    return _read_manifest(folder)[0]


def _read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Return a manifest and the SHA-256 of its file, of one read: the folder may be deleted at any moment."""
    try:
        data = (folder / manifests.NAME).read_bytes()
    except FileNotFoundError as error:
        raise ValueError("没有清单 manifest.json") from error
    found = Manifest.from_bytes(data)
    if found.snapshot_id != folder.name:
        raise ValueError(f"清单写的快照号是 {found.snapshot_id}，与文件夹不符")
    return found, hashlib.sha256(data).hexdigest()


def read_link(folder: Path) -> tuple[int, str | None]:
    """Return a snapshot's sequence and predecessor without unsealing the manifest; raise ValueError as above."""
    try:
        body = read_json(folder / manifests.NAME)
        return int(body["sequence"]), body["previous"]
    except (OSError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("清单读不出") from error


def journal_head(layout: Layout, tier: str) -> Head | None:
    """Return where the journal ended that the current snapshot of a tier was made of; None where nothing says so.

    Asked before each look into the journal: a snapshot is opened once, and its seal is not judged.
    """
    path = layout.pointer(tier)
    try:
        data = path.read_bytes()
        if _heads.get(path, (b"", None))[0] != data:
            body = read_json(layout.snapshot(tier, json.loads(data)["snapshot_id"]) / manifests.NAME)
            _heads[path] = (data, Head(**body["journal"]) if body["journal"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged: whoever publishes puts that in order first
    return _heads[path][1]


def check(
    folder: Path, manifest_sha256: str | None = None, *, heed_mark: bool = True
) -> tuple[Manifest | None, tuple[str, ...]]:
    """Check a snapshot without reading its data: mark, manifest digest and seal, every file's presence, size, ending.

    Return the manifest (None when unreadable) and the problems in Chinese.
    """
    if not folder.is_dir():
        return None, ("快照文件夹不存在",)
    if heed_mark and (folder / MARK).exists():
        return None, (f"已被标记为损坏（见 {MARK}）",)
    try:
        found, digest = _read_manifest(folder)
    except ValueError as error:
        return None, (f"清单 {manifests.NAME} 损坏：{error}",)
    if manifest_sha256 and digest != manifest_sha256:
        return None, (f"清单 {manifests.NAME} 的 sha256 与指针所记不符",)
    problems = [p for entry in found.files() if (p := file_problem(folder, entry))]
    catalogue = found.basis.catalogue_sha256
    if catalogue and not _has_digest(folder / CATALOGUE, catalogue):
        problems.append(f"{CATALOGUE} 缺失或与清单不符")
    return found, tuple(problems)


def file_problem(folder: Path, entry: FileEntry) -> str | None:
    """Describe in Chinese what is wrong with a data file at first sight; None when nothing is."""
    path = folder / entry.table / entry.name
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - len(_MAGICS[0])))
            ending = stream.read()
    except FileNotFoundError:
        return f"{entry.table}/{entry.name}：文件缺失"
    if size != entry.size:
        return f"{entry.table}/{entry.name}：大小 {size} 字节，清单记为 {entry.size} 字节"
    return None if ending in _MAGICS else f"{entry.table}/{entry.name}：文件尾已损坏"


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


def mark(folder: Path, problems: tuple[str, ...]) -> bool:
    """Leave DAMAGED.json in a snapshot, so that nobody serves it again; False when that cannot be written."""
    if not folder.is_dir() or (folder / MARK).exists():
        return folder.is_dir()
    noticed_at = Clock().now().isoformat()
    body = {"snapshot_id": folder.name, "problems": list(problems), "noticed_at": noticed_at}
    try:
        write_json(folder / MARK, body)
    except OSError:
        return False
    return True


def locate(layout: Layout, tier: str) -> Located:
    """Find the snapshot to serve: what the pointer names if intact, else the newest earlier one that is.

    A snapshot may be issued again while it is looked at: then the pointer names another, and that one is looked at.
    """
    found = _locate(layout, tier)
    while found.damaged and (now := _named(layout, tier)) and now not in found.damaged:
        if found.manifest is not None and found.manifest.snapshot_id == now:
            break
        found = _locate(layout, tier)
    return found


def _named(layout: Layout, tier: str) -> str | None:
    try:
        now = load(layout, tier)
    except ValueError:
        return None
    return now.snapshot_id if now else None


def _locate(layout: Layout, tier: str) -> Located:
    warnings: list[str] = []
    damaged: dict[str, tuple[str, ...]] = {}
    pointer = None
    try:
        pointer = load(layout, tier)
    except ValueError:
        warnings.append(f"{tier} 层的指针 current.json 损坏（空文件或不完整）")
    else:
        if pointer is None and snapshot_ids(layout, tier):
            warnings.append(f"{tier} 层的指针 current.json 缺失")
    if pointer:
        found, problems = check(layout.snapshot(tier, pointer.snapshot_id), pointer.manifest_sha256)
        if found and not problems:
            return Located(found, (), {})
        damaged[pointer.snapshot_id] = problems
        warnings.append(f"{tier} 层最新快照 {pointer.snapshot_id} 损坏：{summary(problems)}")
    for candidate in _newest_first(layout, tier, damaged, pointer):
        found, problems = check(layout.snapshot(tier, candidate.snapshot_id))
        if found and not problems:
            warnings.append(f"改为提供较早的完好快照 {found.snapshot_id}")
            return Located(found, tuple(warnings), damaged)
        damaged[candidate.snapshot_id] = problems
        warnings.append(f"{tier} 层快照 {candidate.snapshot_id} 也已损坏：{summary(problems)}")
    return Located(None, tuple(warnings), damaged)


def _newest_first(
    layout: Layout, tier: str, known: dict[str, tuple[str, ...]], pointer: Pointer | None
) -> Iterator[Manifest]:
    readable: list[Manifest] = []
    for name in snapshot_ids(layout, tier):
        folder = layout.snapshot(tier, name)
        if name in known or (folder / MARK).exists():
            continue
        try:
            found = read_manifest(folder)
        except ValueError as error:
            known[name] = (f"清单 {manifests.NAME} 损坏：{error}",)
            continue
        if pointer is None or found.sequence < pointer.sequence:
            readable.append(found)
    yield from sorted(readable, key=lambda m: (m.sequence, m.snapshot_id), reverse=True)


def summary(problems: tuple[str, ...], most: int = 3) -> str:
    """Join the first problems into one Chinese sentence."""
    text = "；".join(problems[:most])
    return text if len(problems) <= most else f"{text}；等共 {len(problems)} 处"
