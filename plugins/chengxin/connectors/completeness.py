"""Is this all the rows? The rules of every connector, in one place. What they do not prove is refused, with the reason.

- An interface with a declared total: the total is the number of rows received.
- An interface without one: the page beyond the last is empty; by cursor or link, the last page has no next one.
- Files with a manifest: what came is what is listed, in size and checksum. (Its numbers of records are compared by
  whoever reads the files.)
- A table: one transaction sees it. Before the place where a pull begins there are no more rows than there were.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chengxin.errors import DeliveryCorrupt


@dataclass(frozen=True, kw_only=True)
class Received:
    """What one pass over the pages of an interface brought.

    rows: received; distinct: rows that stand on several pages counted once. totals: as the pages stated them, in
    order; None where the contract declares none. has_key: rows are told apart by a key, so that two equal ones are one.
    moved: a page did not begin with the rows that the one before it ended with. more: rows came beyond the total.
    """

    rows: int
    distinct: int
    totals: tuple[int, ...] | None
    has_key: bool
    moved: bool = False
    more: bool = False


@dataclass(frozen=True)
class Trouble:
    """Why a pass is not proved complete. settled: it is, once a second pass shows the very same pages."""

    message: str
    settled: bool = False


def pages_trouble(label: str, received: Received) -> Trouble | None:
    """Return why pages that have come to their end are not all of one moment; None where that is proved."""
    if received.moved:
        return Trouble(f"接口“{label}”的记录在拉取过程中移位，前后页接不上")
    twice = received.rows - received.distinct
    if not received.totals:
        again = f"接口“{label}”有 {twice} 行在不同页重复出现，可能另有遗漏"
        return Trouble(again, settled=True) if twice else None
    first, last = received.totals[0], received.totals[-1]
    if len(set(received.totals)) > 1:
        return Trouble(f"接口“{label}”的总行数在拉取过程中由 {first} 变为 {last}，数据一直在变化")
    if received.more:
        return Trouble(f"接口“{label}”在声明的 {first} 行之后还有记录，总行数可能只是本页的；请核对合同中的 total")
    if first == received.distinct:
        return None
    again = f"（其中 {twice} 行重复）" if twice else ""
    said = f"接口“{label}”声明共 {first} 行，实际收到 {received.rows} 行{again}；数据可能在拉取过程中变化，请重试"
    return Trouble(said, settled=received.rows == first and not received.has_key)


@dataclass(frozen=True)
class Listed:
    """One line of a manifest. name: None where the manifest belongs to one file and only gives its checksum.

    rows: how many records the file holds, without header and totals.
    """

    name: str | None
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    rows: int | None = None


def listed_files(
    shown: str, delivery: str, came: Iterable[str], manifest: list[Listed], beside: set[str] | None
) -> dict[str, Listed]:
    """Return the manifest's line of each file that came; raise DeliveryCorrupt where files and lines differ.

    shown: the manifest's name. delivery: that of the delivery; of one file it is the file's own. beside: the files of
    the folder: a manifest of several deliveries may list what lies there too; None where a file was given by hand.
    """
    came = list(came)
    if len(came) == 1 and len(manifest) == 1 and manifest[0].name is None:
        return dict.fromkeys(came, manifest[0])
    announced = {last_part(line.name): line for line in manifest if line.name}
    listed = {name: announced.pop(last_part(name)) for name in came if last_part(name) in announced}
    absent = announced if delivery not in came else set(announced) - (beside or set(announced))
    if absent:
        raise DeliveryCorrupt(f"清单“{shown}”列出的文件没有到齐：{some(absent)}；请提供部门补投后重新放置清单")
    unlisted = [name for name in came if name not in listed]
    if unlisted:
        raise DeliveryCorrupt(f"文件 {some(unlisted)} 不在清单“{shown}”里；请提供部门核对后重新投递")
    return listed


def compare_files(shown: str, copies: Mapping[str, Path], listed: Mapping[str, Listed]) -> None:
    """Compare received files, by name, with their lines of a manifest; raise DeliveryCorrupt where one differs."""
    for name, copy in copies.items():
        if wrong := _difference(copy, listed[name]):
            raise DeliveryCorrupt(f"文件“{name}”{wrong}（清单“{shown}”）；请提供部门重新投递")


def _difference(copy: Path, listed: Listed) -> str | None:
    size = copy.stat().st_size
    if listed.size is not None and size != listed.size:
        return f"大小为 {size} 字节，清单写的是 {listed.size} 字节"
    for algorithm, announced in (("sha256", listed.sha256), ("md5", listed.md5)):
        if announced:
            with copy.open("rb") as stream:
                # md5 guards against accidents of transmission here, not against people.
                found = hashlib.file_digest(stream, partial(hashlib.new, algorithm, usedforsecurity=False))
            if found.hexdigest() != announced.lower():
                return f"{algorithm} 与随附的校验值不一致"
    return None


def has_late_rows(behind: int, behind_now: int) -> bool:
    """Return whether rows appeared in a table before the place where the last pull began.

    behind: how many lay there at that pull. A row may come late while another one leaves, which no count shows: that
    is why a contract sets how often all rows are pulled (`whole_days`).
    """
    return behind_now > behind


def last_part(name: str) -> str:
    """Return the name of a file without its folders, whatever slashes they are written with."""
    return name.replace("\\", "/").rpartition("/")[2]


def some(names: Iterable[str]) -> str:
    """Name a few files."""
    names = sorted(names)
    return "、".join(f"“{n}”" for n in names[:5]) + ("等" if len(names) > 5 else "")
