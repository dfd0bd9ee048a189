"""Which folders are homes: a mistyped `--home` must not pass for an empty one."""

from pathlib import Path

from chengxin.settings import Settings

_FOLDERS = ("admissions", "landing", "batches", "published", "inbox", "alerts")
_SHOWN = 5


def is_home(folder: Path) -> bool:
    """Return whether a folder holds a home."""
    return any((folder / name).is_dir() for name in _FOLDERS)


def missing(settings: Settings) -> str:
    """Return a sentence that says that there is no home, and which ones are near: beside it, or the default one."""
    if settings.origin is not None:
        return f"{settings.origin} 里没有数据目录；请核对存储桶和前缀"
    home = settings.home
    near = [p for folder in (home.parent, home) if folder.is_dir() for p in sorted(folder.iterdir()) if p.is_dir()]
    near.append(Path("build/home").resolve())
    found = list(dict.fromkeys(str(p) for p in near if p != home and is_home(p)))[:_SHOWN]
    what = "不是数据目录（里面没有报送和快照）" if home.is_dir() else "不存在"
    there = f"附近的数据目录：{'、'.join(found)}" if found else "附近没有数据目录，可用 chengxin demo 或 ingest 新建"
    return f"--home：{home} {what}；{there}"
