"""Random small homes: no value that the open tier hides is anywhere in its bytes."""

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.model.schema import kind_columns
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.verify import verify
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, Draft

SHARED = sorted(k.id for k in kinds().values() if k.open_types)
TYPES = ("enterprise", "household", "organisation", "person")
FIRST = 70_001  # subject numbers that no row, day or amount of these homes holds by chance


@st.composite
def homes(draw: st.DrawFn) -> tuple[Draft, set[str]]:
    """A draft of all kinds of subjects and records, and every text in it that must not come out."""
    draft, secrets, count = Draft(), set[str](), 0

    def secret(word: str = "密") -> str:
        nonlocal count
        count += 1
        secrets.add(text := f"{word}{'甲乙丙丁戊己庚辛壬癸'[count % 10]}{count:04d}示")
        return text

    for number in range(FIRST, FIRST + draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(TYPES))
        person = kind == "person"
        born = draw(st.sampled_from([None, date(1990, 5, 6), date(2015, 5, 6)])) if person else None
        draft.subject(number, kind, secret() if person else f"湖南示例{number}号有限公司", born_on=born)
        if person:
            secrets.add(str(number))
            draft.identifier(number, "person_doc", secret())
        for _ in range(draw(st.integers(0, 3))):
            kind_id = draw(st.sampled_from(["dishonest_person", *SHARED] if person else SHARED))
            values: dict[str, Any] = {}
            for column in kind_columns(kinds()[kind_id]):
                held = column.element.sensitivity if column.element else "open"
                personal = held in ("name", "free_text") and person
                if column.type == "string" and (held in ("identifier", "restricted", "person_name") or personal):
                    values[column.name] = secret("王")
            draft.record(kind_id, number, **values, **_event(kind_id, draw))
            where = draft.subjects[number][1]
            hidden = {"source_file": secret("=cmd|'"), "batch_id": f"invented-20261120-{secret('ab')}"}
            if person:
                hidden |= {"source_record_id": secret(), "source_row": 900_000 + count}
                secrets.add(str(hidden["source_row"]))
            for key in ((kind_id, where), ("credit_record", f"{kind_id}-{where}")):
                draft.rows[key][-1] |= hidden
            record = draft.rows[kind_id, where][-1]["record_id"]
            if person or any(elements()[e].sensitivity != "open" for e in kinds()[kind_id].key):
                secrets.add(record)
    return draft, secrets


def _event(kind_id: str, draw: st.DrawFn) -> dict[str, Any]:
    event = kinds()[kind_id].event_on
    grade = {"tax_grade_code": draw(st.sampled_from("AB"))} if kind_id == "tax_rating" else {}
    return grade | ({event: draw(st.sampled_from([None, date(2026, 3, 1)]))} if event else {})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(homes(), st.sampled_from([None, b"a key that is long enough to be one"]))
def test_nothing_hidden_is_in_the_bytes_of_the_open_tier(made, key):
    draft, secrets = made
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        derivation.publish_open(layout, draft.publish(layout.home), token_key=key, now=NOW, today=TODAY)
        assert verify(layout, "open") == []
        text = "".join(_text(path) for path in layout.tier("open").rglob("*") if path.is_file())
    assert [s for s in secrets if s in text] == []


def _text(path: Path) -> str:
    """Return all that a file holds, values and dictionaries decompressed, its footer too."""
    if path.suffix == ".json":
        return path.read_text("utf-8")
    coded = pq.read_table(path, read_dictionary=pq.read_schema(path).names)
    texts = [json.dumps(coded.to_pylist(), default=str, ensure_ascii=False), str(pq.read_metadata(path).to_dict())]
    for column in coded.columns:
        texts += [str(c.dictionary.to_pylist()) for c in column.chunks if pa.types.is_dictionary(c.type)]
    return "".join(texts)
