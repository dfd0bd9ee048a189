"""Fetch the files of a delivery from where they lie: whole, unchanged, and what their manifest lists."""

from contextlib import closing
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from chengxin.connectors.completeness import Listed, last_part
from chengxin.connectors.files.manifest import MANIFEST_BYTES, read_manifest
from chengxin.connectors.files.places import Place
from chengxin.connectors.locators import Entry
from chengxin.errors import DeliveryCorrupt, SourceUnavailable

_BLOCK = 1 << 20


def copy_file(place: Place, entry: Entry, copy: Path, most: int) -> None:
    """Copy one file of at most so many bytes; go on at the last byte received where a connection broke.

    Raises DeliveryCorrupt for a larger file, or one that changed since it was found.
    """
    if entry.size > most:
        raise DeliveryCorrupt(
            f"文件“{entry.name}”有 {entry.size >> 20} MiB，超过上限 {most >> 20} MiB，未接收；"
            "请提供部门拆分后重新投递，或由管理员调高 CHENGXIN_MAX_FILE_MIB"
        )
    for attempt in Retrying(
        stop=stop_after_attempt(place.attempts),
        wait=wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2),
        retry=retry_if_exception_type(SourceUnavailable),
        reraise=True,
    ):
        with attempt:
            _check_same(place, entry)
            with copy.open("ab") as out, closing(place.open(entry, out.tell())) as stream:
                # One block more than announced is enough to see that it is another file.
                while out.tell() <= entry.size and (block := stream.read(_BLOCK)):
                    out.write(block)
            _check_same(place, entry)
            if copy.stat().st_size != entry.size:
                got = copy.stat().st_size
                copy.unlink()  # bytes of which nobody knows whose they are
                raise SourceUnavailable(f"文件“{entry.name}”应有 {entry.size} 字节，只收到 {got} 字节；将重新接收")


def _check_same(place: Place, entry: Entry) -> None:
    if place.entry(entry.key, entry.name).fingerprint != entry.fingerprint:
        raise DeliveryCorrupt(f"文件“{entry.name}”在接收过程中被改动，可能尚未写完；写完后会重新接收")


def copy_names(names: list[str]) -> list[str]:
    """Return the names below payload/: the last parts, or whole paths where these are not all different."""
    last = [last_part(n) for n in names]
    return last if len(set(last)) == len(last) else [n.replace("/", "_") for n in names]


def manifest_of(place: Place, entry: Entry) -> list[Listed]:
    """Read a manifest where it lies. Raises DeliveryCorrupt."""
    if entry.size > MANIFEST_BYTES:
        raise DeliveryCorrupt(f"清单“{entry.name}”过大，不像清单；请提供部门重新投递")
    with closing(place.open(entry, 0)) as stream:
        return read_manifest(stream.read(MANIFEST_BYTES + 1), entry.name)
