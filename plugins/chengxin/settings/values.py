"""Texts of variables to values; each raises ValueError with what the text should be."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


def number(least: int = 0) -> Callable[[str], int]:
    """Return what reads a whole number of at least so much."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"不小于 {least} 的整数")
        return int(text)

    return read


def amount(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("数") from None


def mib(text: str) -> int:
    """Read MiB as bytes."""
    return number(1)(text) << 20


def folder(text: str) -> Path:
    """Read a folder, from where the process is."""
    return Path(text).resolve()


def instant(text: str) -> datetime:
    """Read an instant with its offset, in UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("带时区的 ISO 8601 时刻")
    return at.astimezone(UTC)


def kept(text: str) -> int | None:
    """Read how many are kept; None = all."""
    if text == "all":
        return None
    try:
        return number(1)(text)
    except ValueError:
        raise ValueError("正整数或 all") from None


def other_than(word: str) -> Callable[[str], bool]:
    """Return what tells whether a text is another one."""
    return lambda text: text != word


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def twice(text: str) -> bool:
    """Read for what two persons are asked; True = for everything."""
    if text not in {"released", "all"}:
        raise ValueError("released 或 all")
    return text == "all"
