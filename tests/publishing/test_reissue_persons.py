"""Records about persons bear a handle in the open tier: they are found by it, and a person with none left goes too."""

from datetime import date
from pathlib import Path

import pytest

from chengxin.errors import Withheld
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression import candidates, entries
from chengxin.publishing.suppression.sweep import sweep
from chengxin.publishing.verify import verify
from chengxin.records import acts
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, Draft
from publishing.reissue_server import KEY, home, reissue


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Two persons of age on the list of the courts, the second twice."""
    draft = Draft()
    for number, name in ((1, "张示例"), (2, "钱示例")):
        draft.subject(number, "person", name, born_on=date(1990, 1, 1))
    for number, case in ((1, "甲"), (2, "乙"), (2, "丙")):
        draft.record("dishonest_person", number, subject_name="某示例", case_no=case, published_on=date(2026, 3, 1))
    manifest = draft.publish(tmp_path)
    derivation.publish_open(Layout(tmp_path), manifest, token_key=KEY, now=NOW, today=TODAY)
    return tmp_path


def test_a_persons_record_leaves_the_open_tier_by_its_handle(published):
    opened = open_snapshot(published, "open")
    assert [opened.table(t).num_rows for t in ("dishonest_person", "credit_record", "subject")] == [3, 3, 2]
    rows = open_snapshot(published).table("dishonest_person", ["record_id", "subject_id"]).to_pylist()
    wanted = next(row["record_id"] for row in rows if row["subject_id"] == 1)
    found = candidates.by_id(open_snapshot(published), wanted)
    acts.enter(Layout(published), "repair", found, at=NOW, by="甲", document="修〔2026〕1号", day=TODAY)
    entries.renew(home(published))
    assert [opened.table(t).num_rows for t in ("dishonest_person", "credit_record")] == [2, 2]
    with pytest.raises(Withheld):
        opened.files("dishonest_person")
    reissue(published)
    opened = open_snapshot(published, "open")
    assert [opened.table(t).num_rows for t in ("dishonest_person", "credit_record", "subject")] == [2, 2, 1]
    assert opened.files("dishonest_person")
    assert sweep(home(published)).left == {}
    assert verify(Layout(published), "open") == verify(Layout(published), "government") == []
    assert open_snapshot(published).table("subject").num_rows == 2, "who is on the register stays there"
