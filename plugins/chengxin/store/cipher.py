"""Encrypted data files: Parquet modular encryption, AES-256-GCM, footer and all columns with one key a file.

The key of a file is derived (HKDF-SHA256, RFC 5869) of the key of its tier and of a salt, which its entry in the
manifest holds. So nothing that can be read without the key of the tier tells the key of a file.
"""

import hmac
import secrets
from typing import Any

import pyarrow.parquet.encryption as parquet_encryption

from chengxin.store.manifest import FileEntry

SALT = "salt"  # in the extra of the entry of an encrypted file


def salt() -> str:
    """Return a new salt for one file."""
    return secrets.token_hex(32)


def encryption(key: bytes, given: str | None) -> Any:
    """Return what pyarrow needs to write a file."""
    return parquet_encryption.create_encryption_properties(_of_file(key, given or ""))


def decryption(entry: FileEntry, key: bytes | None) -> Any | None:
    """Return what pyarrow needs to read a file; None where it is not encrypted, or there is no key."""
    given = entry.extra.get(SALT)
    return parquet_encryption.create_decryption_properties(_of_file(key, given)) if given and key else None


def _of_file(key: bytes, given: str) -> bytes:
    extracted = hmac.digest(bytes.fromhex(given), key, "sha256")
    return hmac.digest(extracted, b"chengxin/file\x01", "sha256")
