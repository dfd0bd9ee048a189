"""Pseudonyms: the numbers that persons and their records bear in the cut of one recipient.

Each recipient has a key of its own, HKDF-SHA256 (RFC 5869) of the master key, so that two recipients cannot compare
what they hold by number, and nobody can count through the platform's own. An epoch is the time for which a key is
used. Organisations keep their numbers: these are public.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.contracts.recipients import load
from chengxin.errors import InvariantBroken
from chengxin.home import Home
from chengxin.publishing import key as keys
from chengxin.publishing.open_tier import masking
from chengxin.publishing.reader import Snapshot
from chengxin.records import recipients
from chengxin.store.manifest import PSEUDONYMS

TRANSLATIONS = (("translated_record", "credit_record", "record_id"), ("translated_subject", "subject", "subject_id"))
_SUBJECTS = ("subject_id", "linked_subject_id", "superseded_by")
# With them a row could be found again in the delivery, and so in what another recipient holds.
_WITHOUT = ("source_file", "source_row", "source_record_id", "source_updated_at", "received_at")


def key_of(master: bytes | None, recipient: str, epoch: int) -> bytes | None:
    """Return the key of a recipient in an epoch; None without a master key."""
    return keys.derive(master, f"recipient/{recipient}/{epoch}")


def all_keys(home: Home) -> dict[str, bytes]:
    """Return the keys under which readers may know a record, by key id: the open tier's and those of recipients."""
    found = [keys.derive(keys.master(home)), *(key for held in of_recipients(home).values() for key in held)]
    return {str(keys.key_id(key)): key for key in found if key}


def of_recipients(home: Home) -> dict[str, list[bytes]]:
    """Return the keys of each recipient, those of ended epochs too: what was handed out under them is still held."""
    master, begun = keys.master(home), recipients.epochs(home.layout)
    if master is None:
        return {}
    latest = dict.fromkeys(load(home.settings.recipients, {}).recipients, 1) | {n: e.number for n, e in begun.items()}
    found = {name: [key_of(master, name, number + 1) for number in range(last)] for name, last in latest.items()}
    return {name: [key for key in held if key] for name, held in found.items()}


def subject_number(subject_id: int, key: bytes) -> int:
    """Return the pseudonym of a person: 62 bits of HMAC-SHA256(key, number as text), from PSEUDONYMS on."""
    return PSEUDONYMS | int.from_bytes(hmac.digest(key, str(subject_id).encode(), "sha256")[:8]) >> 2


def subject_numbers(values: pa.Array, key: bytes) -> pa.Array:
    """Return the pseudonym of each number, null for null."""
    coded = values.dictionary_encode()
    made = [subject_number(value, key) for value in coded.dictionary.to_pylist()]
    return pa.array(made, pa.int64()).take(coded.indices)


def distinct(subjects: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give the rows of a subject table in order; raise InvariantBroken where two persons have one pseudonym."""
    last = None
    for batch in subjects:
        numbers = np.asarray(batch.column("subject_id"))
        if len(numbers) and (numbers[0] == last or (np.diff(numbers) == 0).any()):
            raise InvariantBroken("两个自然人的代号相同；请为该接收方更换代号（chengxin recipients rotate）")
        last = numbers[-1] if len(numbers) else last
        yield batch


def replace(rows: pa.RecordBatch, key: bytes) -> pa.RecordBatch:
    """Return rows about persons with pseudonyms for numbers, and without what leads to the delivered row."""
    columns = []
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if field.name in _SUBJECTS:
            columns.append(subject_numbers(column, key))
        elif field.name == "record_id":
            columns.append(masking.handles(column, key))
        elif field.name == "batch_id":
            columns.append(masking.neutral_batches(column))
        else:
            columns.append(pa.nulls(len(column), field.type) if field.name in _WITHOUT else column)
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def translation_schema(name: str) -> pa.Schema:
    """Return the columns of a translation: previous_<name>, <name>."""
    kind = pa.string() if name == "record_id" else pa.int64()
    return pa.schema([(f"previous_{name}", kind), (name, kind)])


def translate(numbers: pa.Array, name: str, old: bytes, new: bytes) -> pa.RecordBatch:
    """Return numbers under the keys of two epochs."""
    replaced = masking.handles if name == "record_id" else subject_numbers
    return pa.RecordBatch.from_arrays([replaced(numbers, key) for key in (old, new)], schema=translation_schema(name))


def handles(record_id: str, keys: Mapping[str, bytes]) -> dict[str, str]:
    """Return under which handles readers may know a record, by key id."""
    found = {name: masking.handle(record_id, key) for name, key in keys.items()}
    return {name: handle for name, handle in found.items() if handle}


def identify(government: Snapshot, number: str, of: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the records (kind, record_id, subject_id) that a pseudonym stands for; of a person's, all of them."""
    found = []
    for entry in government.manifest.tables["credit_record"].files:
        if not entry.part.rpartition("-")[2].startswith("p"):
            continue
        rows = pq.read_table(government.path(entry), columns=["kind", "record_id", "subject_id"], partitioning=None)
        for key in of:
            names = masking.handles(rows["record_id"].combine_chunks(), key)
            numbers = subject_numbers(rows["subject_id"].combine_chunks(), key).cast(pa.string())
            found += rows.filter(pc.or_(pc.equal(names, number), pc.equal(numbers, number))).to_pylist()
    return found
