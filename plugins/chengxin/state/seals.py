"""Seals: the sha256 of the files of a batch that publication is built from, as they stand in its account.

An account seals what was standardised, the evidence of its validation, and the links of its own revision. Where an
account has several revisions, each seals its links, and the newest one the evidence, which a revision may add to.
"""

from collections.abc import Iterable
from pathlib import Path

from chengxin.errors import InvariantBroken
from chengxin.facts import Admission
from chengxin.store.atomic import sha256_file
from chengxin.store.layout import VALIDATION, Layout

#: What a publication reads of a batch. `links/` stands for the links folder of the revision.
STANDARD, QUARANTINE, LINKS = "standard/standard-", "standard/quarantine-", "links/"
SEALED = ("standard/", LINKS, VALIDATION)
_SHOWN = 3

# Files that this process has found as they were sealed: path -> digest, inode, size, time of change.
_intact: dict[Path, tuple[str, int, int, int]] = {}


def of_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the seals of files below the folder of a batch: path from there -> sha256."""
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def check(layout: Layout, admissions: Iterable[Admission], *wanted: str) -> None:
    """Raise InvariantBroken where files of these accounts are not as they were sealed. wanted: how their names begin.

    A file is read once in a process while its time of change stays the same.
    """
    found = [problem for a in admissions for problem in _problems(layout, a, wanted, anew=False)]
    if found:
        told = "；".join(found[:_SHOWN]) + ("……" if len(found) > _SHOWN else "")
        raise InvariantBroken(f"{told}。已停下：请从备份恢复所列文件，再用 chengxin verify 核验")


def problems(layout: Layout, admissions: Iterable[Admission]) -> list[str]:
    """Read all sealed files of these accounts and say in Chinese which are not as they were sealed."""
    accounts = list(admissions)
    newest = {(a.dataset, a.batch_id): a.order for a in accounts}
    found = []
    for a in accounts:
        wanted = SEALED if newest[a.dataset, a.batch_id] == a.order else (LINKS,)
        found += _problems(layout, a, wanted, anew=True)
    return found


def _problems(layout: Layout, a: Admission, wanted: Iterable[str], *, anew: bool) -> list[str]:
    folder = layout.batch(a.dataset, a.batch_id)
    links = f"{layout.links(a.dataset, a.batch_id, a.revision).name}/"
    beginnings = tuple(name.replace(LINKS, links) for name in wanted)
    sealed = {name for name in a.seals if name.startswith(beginnings)}
    tops = {top for top, below, _ in (b.partition("/") for b in beginnings) if below}
    present = {f"{top}/{p.name}" for top in tops for p in (folder / top).glob("*")}
    names = sorted(sealed | {name for name in present if name.startswith(beginnings) and "/." not in name})
    told = ((name, _problem(folder / name, a.seals.get(name), anew=anew)) for name in names)
    return [f"数据集 {a.dataset} 批次 {a.batch_id}：文件 {name} {problem}" for name, problem in told if problem]


def _problem(path: Path, digest: str | None, *, anew: bool) -> str | None:
    if digest is None:
        return "入库时没有"
    try:
        found = path.stat()
    except FileNotFoundError:
        return "缺失"
    stamp = (digest, found.st_ino, found.st_size, found.st_mtime_ns)
    if anew or _intact.get(path) != stamp:
        if sha256_file(path) != digest:
            return "与入库时不符（sha256）"
        _intact[path] = stamp
    return None
