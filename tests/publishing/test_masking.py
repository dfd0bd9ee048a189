import hashlib
import hmac

import pyarrow as pa
import pytest

from chengxin.publishing.open_tier.masking import (
    HIDDEN,
    handles,
    looks_like_person,
    mask_person_names,
    neutral_batches,
    redact,
)


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张小明", "张*明"),
        ("李雷", "李*"),
        ("欧阳修", "欧阳*"),
        ("欧阳小明", "欧阳*明"),
        ("司马小明", "司马*明"),
        ("澹台小明", "澹台*明"),
        ("王", "*"),
        ("买买提·吐尔逊", "买*逊"),
        ("John Smith", "J*h"),
        ("𬭎示例", "𬭎*例"),
        ("张*明", "张*"),
        ("张小*", "张*"),
        ("李*", "李*"),
        ("", ""),
        (None, None),
    ],
)
def test_names_of_persons(name, masked):
    assert mask_person_names(pa.array([name], pa.string())).to_pylist() == [masked]


def test_no_name_keeps_more_than_its_ends():
    names = ["张" + "某" * n for n in range(1, 12)]
    for masked in mask_person_names(pa.array(names)).to_pylist():
        assert masked.replace("*", "") in {"张", "张某"}


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("张小明", True),
        ("买买提·吐尔逊", True),
        ("李记店", True),
        ("李记小吃店", False),
        ("张三商行", False),
        ("湖南示例有限公司", False),
        ("芙蓉区示例早餐铺", False),
        (None, None),
    ],
)
def test_businesses_that_bear_only_a_persons_name(name, person):
    assert looks_like_person(pa.array([name], pa.string())).to_pylist() == [person]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("身份证430102199001011234。", f"身份证{HIDDEN}。"),
        ("11010519491231002x与110105491231002", f"{HIDDEN}与{HIDDEN}"),
        ("４３０１０２１９９００１０１１２３４", HIDDEN),
        ("430102********7214", HIDDEN),
        ("账号6222021234567890123", f"账号{HIDDEN}"),
        ("电话13812345678,13912345678", f"电话{HIDDEN},{HIDDEN}"),
        ("138-1234-5678", HIDDEN),
        ("138 1234 5678", HIDDEN),
        ("+8613812345678", f"+86{HIDDEN}"),
        ("湘市监罚〔2019〕123号，罚款50000.00元，2019-09-05", "湘市监罚〔2019〕123号，罚款50000.00元，2019-09-05"),
        ("无", "无"),
        (None, None),
    ],
)
def test_numbers_in_free_text(text, clean):
    assert redact(pa.array([text, "旁边的一行", None], pa.string())).to_pylist() == [clean, "旁边的一行", None]


def test_text_without_digits_passes_untouched():
    texts = pa.array(["甲", None, ""])
    assert redact(texts) is texts


def test_handles_are_keyed_and_stable():
    ids = pa.array([5, None, 7, 5], pa.int64())
    first = handles(ids, b"k1").to_pylist()
    assert first[0] == hmac.new(b"k1", b"5", hashlib.sha256).hexdigest()[:32] == first[3]
    assert first[1] is None and first[2] != first[0]
    assert handles(ids, b"k2").to_pylist()[0] != first[0]
    assert handles(ids, None).to_pylist() == [None] * 4
    assert handles(pa.array([], pa.int64()), b"k").to_pylist() == []
    assert handles(pa.array(["5"]), b"k1").to_pylist() == first[:1]


@pytest.mark.parametrize(
    ("batch_id", "neutral"),
    [
        ("hn_court-20261120-0123456789ab", "hn_court-20261120"),
        ("张某某的处罚", None),
        ("=cmd|' /C calc'!A0", None),
        (None, None),
    ],
)
def test_a_batch_is_called_by_data_set_and_day(batch_id, neutral):
    assert neutral_batches(pa.array([batch_id], pa.string())).to_pylist() == [neutral]
