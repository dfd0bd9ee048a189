"""The master key: where it comes from, and what is derived from it.

Rows about persons bear keyed digests in the open tier; the files of the authorised tier are encrypted. Whoever has the
key can tell whom they are about, so it stands in no manifest, log or published file; a manifest names a `key_id`.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from chengxin.home import Home
from chengxin.store.atomic import fsync_file, fsync_folder
from chengxin.store.layout import Layout

VARIABLE = "CHENGXIN_TOKEN_KEY"
LEAST = 32  # characters: known subject numbers let a guessable key be tried out on published tokens


def master(home: Home) -> bytes | None:
    """Return the configured key, else the one that the demo made in this home; None where there is none to use."""
    key = home.settings.token_key
    if key is None:
        with suppress(FileNotFoundError):
            key = home.layout.demo_key.read_bytes().strip()
    return key if key and len(key) >= LEAST else None


def problem(home: Home) -> str | None:
    """Describe in Chinese why there is no key to use and what to set; None when there is one."""
    if master(home) is not None:
        return None
    why = f"未设置密钥 {VARIABLE}" if home.settings.token_key is None else f"密钥 {VARIABLE} 不足 {LEAST} 个字符"
    return (
        f"{why}，开放层不发布自然人的记录，授权层不发布。请把 openssl rand -hex 32 的输出设为 {VARIABLE}"
        f"（或存入 {VARIABLE}_FILE 所指的文件），再执行 chengxin publish"
    )


def make(home: Path) -> None:
    """Make the key of a home of the demo, for its owner's eyes only; one that is there stays."""
    path = Layout(home).demo_key
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}-{os.getpid()}")
    staged.unlink(missing_ok=True)
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(32) + "\n")
    fsync_file(staged)
    staged.rename(path)
    fsync_folder(path.parent)


def derive(key: bytes | None, use: str = "open") -> bytes | None:
    """Return a key for one use, by default the open tier's own: HKDF-SHA256 (RFC 5869, no salt), 32 bytes."""
    if key is None:
        return None
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(extracted, f"chengxin/{use}".encode() + b"\x01", "sha256")


def key_id(key: bytes | None) -> str | None:
    """Return a short name of a derived key that does not give it away."""
    return hmac.digest(key, b"key id", "sha256").hex()[:12] if key else None
