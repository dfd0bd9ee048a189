"""Free text, names and match keys."""

import base64
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import cleaned, one

from chengxin.cleaning.kernels import clean, name_key
from chengxin.cleaning.kernels.text import GB18030_PRIVATE, prepare, trimmed

TWO_BYTE_CODES = [
    "A6D9",
    "A6DA",
    "A6DB",
    "A6DC",
    "A6DD",
    "A6DE",
    "A6DF",
    "A6EC",
    "A6ED",
    "A6F3",
    "A8BC",
    "FE51",
    "FE52",
    "FE53",
    "FE59",
    "FE61",
    "FE66",
    "FE67",
    "FE6C",
    "FE6D",
    "FE76",
    "FE7E",
    "FE90",
    "FE91",
    "FEA0",
]


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000", "\u200b", "\ufeff", "\xa0", "\u2003", "\r\n"])
def test_blanks_at_the_ends_are_removed_and_inside_kept(blank: str) -> None:
    assert one("text", f"{blank}甲{blank}乙{blank}{blank}") == (f"甲{blank}乙", [])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(" \t\u3000\u200b\xa0\ufeff甲乙(（abc。、\u2009Ω", max_size=6), max_size=20))
def test_trimming_agrees_with_python(texts: list[str]) -> None:
    blanks = " \t\u3000\u200b\xa0\ufeff\u2009"
    assert trimmed(pa.array(texts, pa.string())).to_pylist() == [text.strip(blanks) for text in texts]


def test_stored_text_is_never_normalised() -> None:
    assert one("text", "面积５０㎡（约）Ⅹ") == ("面积５０㎡（约）Ⅹ", [])
    assert one("name", "湖南（长沙）ＡＢ公司") == ("湖南（长沙）ＡＢ公司", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "／",
        "无",
        "-",
        "--",
        "null",
        "NULL",
        "暂无",
        "（空）",
        "Ｎ／Ａ",
        "空",
        " / ",
        "undefined",
        "[null]",
        "NaN",
        "nil",
    ],
)
def test_words_for_nothing_are_absent_without_an_issue(text: str) -> None:
    assert one("text", text) == (None, [])


@pytest.mark.parametrize("kind", ["money", "integer", "decimal", "year", "phone", "date", "tax_no", "person_doc"])
@pytest.mark.parametrize("mark", ["①", "²", "₃", "⑴", "⒈", "⑳"])
def test_the_mark_of_a_footnote_is_no_digit(kind: str, mark: str) -> None:
    sent = {
        "year": "202",
        "phone": "0731888888",
        "date": "2024-01-1",
        "tax_no": "43010271219440",
        "person_doc": "E1234567",
    }
    value, told = one(kind, sent.get(kind, "50") + mark, unit="元")
    assert value is None
    assert told


def test_a_number_with_the_mark_of_a_footnote_is_kept_as_sent() -> None:
    assert one("document_no", "示罚（２０２４）５号①") == ("示罚〔2024〕5号①", [])
    assert one("document_no", "示罚（２０２４）５号") == ("示罚〔2024〕5号", [])


@pytest.mark.parametrize("kind", ["text", "name", "document_no", "uscc"])
def test_a_text_kept_as_a_spreadsheet_formula_is_that_text(kind: str) -> None:
    assert one(kind, '="91430100MAXY000595"') == one(kind, "91430100MAXY000595")
    assert one("text", '="示例"&"公司"') == ('="示例"&"公司"', [])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("5.00001E+12", "identifier.scientific"),
        ("1.2345678901234568e+29", "identifier.scientific"),  # as JSON writes it
        ("示罚〔2024〕5号&nbsp;", "name.markup"),
        ('示罚〔2024〕5号"', "name.markup"),
        ("示罚<br>5号", "name.markup"),
        ("示罚〔2024〕5号?", "text.replacement"),
        ("同上", "value.lost"),
        ("〃", "value.lost"),
        ("见上", "value.lost"),
        ("详见附件", "value.lost"),
        ("测试", "value.lost"),
        ("test01", "value.lost"),
        ("Jan-14", "value.date"),
        ("14-Jan", "value.date"),
        ("1月14日", "value.date"),
        ("2026年1月14日", "value.date"),
        ("〔2025〕号", "document_no.no_number"),
        ("示罚（2025）第 号", "document_no.no_number"),
        ("示罚[2025]XX号", "document_no.no_number"),
        ("第号", "document_no.no_number"),
    ],
)
def test_a_spoiled_number_of_a_document_is_none(text: str, rule: str) -> None:
    assert one("document_no", text) == (None, [rule])


@pytest.mark.parametrize(
    "text",
    ["E1+5", "1-14", "Mar-2026-3", "示罚〔2026〕第五号", "示罚〔2026〕甲号", "示罚〔2026〕3XX号", "测试中心3号"],
)  # fmt: skip
def test_numbers_of_documents_that_look_like_a_spoiled_one_stay(text: str) -> None:
    assert one("document_no", text) == (text, [])


@pytest.mark.parametrize("text", ["待定", "待补", "未知", "不详", "无", "暂无"])
def test_a_document_number_that_states_there_is_none_is_absent(text: str) -> None:
    assert one("document_no", text) == (None, [])


@pytest.mark.parametrize(
    "text",
    ["湖南甲有限公司、湖南乙有限公司", "湖南甲有限公司/湖南乙有限公司", "甲公司；乙厂", "湖南甲有限公司 湖南乙有限公司",
     "甲公司、乙公司、丙经营部"],
)  # fmt: skip
def test_several_organisations_in_one_cell_are_told(text: str) -> None:
    assert one("name", text) == (text, ["name.several"])


@pytest.mark.parametrize(
    "text",
    ["湖南甲有限公司 长沙分公司", "湖南甲有限公司,第一分店", "湖南甲有限公司（原湖南乙有限公司）",
     "长沙市张三、李四合伙企业", "甲、乙公司", "A/B公司", "Müller, Söhne & Co"],
)  # fmt: skip
def test_one_organisation_with_signs_in_its_name_is_one(text: str) -> None:
    assert one("name", text) == (text, [])


@pytest.mark.parametrize("text", ["罚款?千元", "李?某", "示例?监局", "罚??款"])
def test_a_question_mark_within_chinese_text_is_told(text: str) -> None:
    assert one("text", text) == (text, ["text.question_mark"])


@pytest.mark.parametrize("text", ['示例"监局', 'CF00001"', '"逗号', '逗号"', '甲"乙"丙"', '5"管"', '称""甲""乙""'])
def test_half_a_pair_of_quotes_in_a_text_is_told(text: str) -> None:
    assert one("text", text) == (text, ["text.half_quoted"])


@pytest.mark.parametrize("text", ['称"甲"乙', '"甲"', '15"', '5" 与 6" 管', "甲'乙", "“甲"])
def test_pairs_of_quotes_and_measures_are_not(text: str) -> None:
    assert one("text", text) == (text, [])


@pytest.mark.parametrize("text", ["是否公开?有", "何时?今日", "为什么?因为", "A?B", "http://示例/?号", "结束?", "？是"])
def test_a_question_mark_that_asks_is_not(text: str) -> None:
    assert one("text", text) == (text, [])


@pytest.mark.parametrize("kind", ["name", "document_no"])
@pytest.mark.parametrize("text", ["Ê¾ÀýÓÐÏÞ¹«Ë¾", "示例第五有限...", "示例第五有限…"])
def test_a_garbled_or_cut_name_or_number_has_lost_characters(kind: str, text: str) -> None:
    assert one(kind, text) == (None, ["text.replacement"])


@pytest.mark.parametrize("kind", ["name", "text", "document_no"])
def test_utf8_that_was_read_as_gb18030_is_lost(kind: str) -> None:
    for text in ("湖南示例贸易有限公司", "长沙市市场监督管理局"):
        assert one(kind, text.encode().decode("gb18030")) == (None, ["text.replacement"])
    assert one(kind, "王\ue000某某") == ("王\ue000某某", ["text.private_use"])


@pytest.mark.parametrize("text", ["Société Générale 长沙代表处", "Müller & Söhne", "Ørsted", "A.B.C. 公司"])
def test_western_letters_and_points_are_of_names(text: str) -> None:
    assert one("name", text) == (text, [])


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_line_ends_of_other_kinds_within_a_name_are_removed(end: str) -> None:
    assert one("name", f"示例{end}公司") == ("示例公司", ["text.control"])


def test_as_above_is_no_text_and_unknown_is_no_name() -> None:
    assert one("text", "同上") == (None, ["value.lost"])
    assert one("text", "同上级单位") == ("同上级单位", [])
    assert one("text", "见附件") == ("见附件", [])
    for word in ("未知", "不详", "（空白）"):
        assert one("name", word) == (None, [])
    for word in ("同上", "见上", "详见附件", "测试", "测试公司", "test"):
        assert one("name", word) == (None, ["name.no_letter"])
    assert one("name", "未知星球公司") == ("未知星球公司", [])


@pytest.mark.parametrize(
    "text",
    [
        "张某430102199003077214",
        "示例公司91430100MAXY000595",
        "示例公司（91430100MAXY000595）",
        "430102199003077214张某",
    ],
)
def test_a_name_that_contains_a_code_or_number_is_refused(text: str) -> None:
    assert one("name", text) == (None, ["name.is_identifier"])


@pytest.mark.parametrize("kind", ["text", "name", "document_no"])
@pytest.mark.parametrize(
    "text", ["#REF!", "#NAME?", "#DIV/0!", "########", "[object Object]", "1.#QNAN", "System.Data.DataRowView"]
)
def test_marks_of_a_program_are_no_values(kind: str, text: str) -> None:
    assert one(kind, text) == (None, ["value.lost"])


@pytest.mark.parametrize("text", ["??????", "？？", "??", "?"])
def test_question_marks_alone_are_no_text(text: str) -> None:
    assert one("text", text) == (None, ["value.lost"])
    assert one("text", "是否公开?") == ("是否公开?", [])


@pytest.mark.parametrize("text", ["true", "FALSE", "True"])
def test_truth_is_no_name_and_may_be_a_text(text: str) -> None:
    assert one("name", text) == one("document_no", text) == (None, ["value.lost"])
    assert one("text", text) == (text, [])
    assert one("flag", text) == (text.lower() == "true", [])
    assert one("money", text, unit="元") == (None, ["money.invalid"])


@pytest.mark.parametrize("text", ["#1楼业主委员会", "True North 公司", "TRUST", "com.pany", "[示例]公司", "Systems"])
def test_names_that_look_like_a_mark_are_names(text: str) -> None:
    assert one("name", text) == (text, [])


def test_replacement_characters_make_the_value_unusable() -> None:
    assert cleaned("text", ["好", "坏\ufffd", "（好）"]) == [("好", []), (None, ["text.replacement"]), ("（好）", [])]
    assert one("money", "5万\ufffd") == (None, ["text.replacement"])
    assert one("code", "\ufffd", codelist="sex") == (None, ["text.replacement"])


def test_unknown_private_characters_are_kept_with_a_warning() -> None:
    assert one("name", "王\ue000") == ("王\ue000", ["text.private_use"])
    assert one("text", "\U000f0001") == ("\U000f0001", ["text.private_use"])


def test_control_characters_are_removed_and_line_ends_kept() -> None:
    assert one("text", "甲\x00\x1f乙\x7f\x81") == ("甲乙", ["text.control"])
    assert one("text", "甲\n乙\t丙") == ("甲\n乙\t丙", [])


@pytest.mark.parametrize("code", TWO_BYTE_CODES)
def test_gb18030_codes_give_one_character_whoever_decoded_them(code: str) -> None:
    by_python = bytes.fromhex(code).decode("gb18030")
    assert ord(by_python) in GB18030_PRIVATE, (
        "the table of Python's decoder moved on: the character is no longer private"
    )
    value, rules = one("text", f"甲{by_python}乙")
    assert rules == []
    assert unicodedata.category(value[1]) != "Co"
    assert value == "甲" + chr(GB18030_PRIVATE[ord(by_python)]) + "乙"


def test_the_private_table_is_complete_and_one_to_one() -> None:
    assert len(GB18030_PRIVATE) == len(set(GB18030_PRIVATE.values())) == len(TWO_BYTE_CODES) == 25


@pytest.mark.parametrize(
    "number", ["430102199003077214", "４３０１０２１９９００３０７７２１４", "914300007121944054", "43010219900307721x"]
)
def test_document_number_in_the_name_column_is_an_error(number: str) -> None:
    assert one("name", number) == (None, ["name.is_identifier"])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((text, "name.no_letter") for text in ("12345", "234.50", "2020-01-01", "〃", "（2）", "同上", "----1")),
        *(
            (text, "name.markup")
            for text in ("“示例公司”", "「示例公司」", "《示例公司》", '["示例公司"]', "'示例公司'")
        ),
        *(
            (text, "name.markup")
            for text in ("示例&amp;公司", "示例&#31185;公司", "示例<br>公司", "\\u793a\\u4f8b公司", "u793au4f8b公司")
        ),
        *(
            (text, "name.markup")
            for text in ('"示例公司', '示例公司"', '示例"公司', "“示例公司", "示例公司”", "示例公司_x000D_")
        ),
        *(
            (base64.b64encode(text.encode()).decode(), "name.markup")
            for text in ("示例科技有限公司", "湖南示例有限公司", "欧阳示例员")
        ),
        *((text, "text.replacement") for text in ("示\ufffe公司", "示例\uffff")),
        *((text, "text.replacement") for text in ("示?公司", "示□公司", "李？华")),
    ],
)
def test_what_is_no_name_is_an_error(text: str, rule: str) -> None:
    assert one("name", text) == (None, [rule])


@pytest.mark.parametrize(
    "text", ["“示例”饭店", "示例（长沙）公司", "《示例》杂志社", "A&B公司", "示例100%果汁店", "O'Neil", "买买提·艾力"]
)
def test_marks_inside_names_stay(text: str) -> None:
    assert one("name", text) == (text, [])


@pytest.mark.parametrize("mark", ["\u200b", "\xad", "\u200e", "\u202e", "\u2060", "\ufeff"])
def test_invisible_characters_in_a_name_are_removed_with_warning(mark: str) -> None:
    assert one("name", f"示例{mark}公司") == ("示例公司", ["text.control"])


def test_names_that_begin_with_digits_are_names() -> None:
    assert one("name", "58同城信息技术有限公司") == ("58同城信息技术有限公司", [])
    assert one("name", "1234567890123456号店铺") == ("1234567890123456号店铺", [])


def test_masked_name_is_kept_but_is_no_key() -> None:
    assert one("name", "张*明") == ("张*明", ["name.masked"])
    assert name_key(pa.array(["张*明", "＊＊＊公司"])).to_pylist() == [None, None]


@pytest.mark.parametrize(
    "forms",
    [
        [
            "湖南（长沙）有限公司",
            "湖南(长沙)有限公司",
            "湖南 〔长沙〕 有限公司。",
            "湖南长沙有限公司（已注销）",
            "\u3000湖南长沙有限公司",
        ],
        ["买买提·艾力", "买买提•艾力", "买买提・艾力", "买买提艾力"],
        ["ABC公司", "ａｂｃ公司", "abc 公司"],
    ],
)
def test_spellings_of_one_name_share_a_key(forms: list[str]) -> None:
    assert len(set(name_key(pa.array(forms)).to_pylist())) == 1


def test_different_company_forms_keep_different_keys() -> None:
    keys = name_key(pa.array(["湖南甲有限公司", "湖南甲有限责任公司", "甲有限公司"])).to_pylist()
    assert len(set(keys)) == 3


def test_key_of_nothing_is_null_and_slices_are_respected() -> None:
    names = pa.array(["（", "", None, "甲（乙）", "丙"])
    assert name_key(names).to_pylist() == [None, None, None, "甲乙", "丙"]
    assert name_key(names.slice(3)).to_pylist() == ["甲乙", "丙"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=30))
def test_any_text_passes_through_without_loss_of_rows(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    assert len(prepare(array).values) == len(texts)
    assert len(name_key(array)) == len(texts)
    prepare(array).values.validate(full=True)


@pytest.mark.parametrize(
    "text", ['示例管15"', "示例“老字号”饭店", "58示例信息技术公司", "Example Trading Co Ltd", "MUHAMMADABDULLAH"]
)
def test_quotes_within_and_latin_names_are_names(text: str) -> None:
    assert one("name", text) == (text, [])


def test_what_a_program_wrote_around_a_text_is_told():
    worn = [
        "<p>罚款</p>",
        "罚款<br/>二",
        "甲&nbsp;乙",
        '{"a": 1}',
        '["甲", "乙"]',
        "data:image/png;base64,AA",
        "iVBORw0KG" * 40,
    ]
    honest = [
        "见<合同>",
        "<A公司>",
        "R&D",
        "[2024]1号",
        "{甲}",
        "1<2且3>2",
        "号" * 200,
        "abcd efgh " * 40,
        None,
        "A&B;C",
    ]
    done = clean(pa.array([*worn, *honest]), "text")
    told = dict(done.issues).get("text.coded")
    assert told is not None
    assert told.to_pylist() == [True] * len(worn) + [False] * len(honest)
    assert done.values.to_pylist()[:2] == worn[:2]


def test_answers_are_no_names():
    done = clean(pa.array(["否", "是", "N", "没有", "NA", "未知", "有利", "否定"]), "name")
    assert done.values.to_pylist() == [None] * 6 + ["有利", "否定"]
    assert dict(done.issues)["name.no_letter"].to_pylist() == [True] * 4 + [False] * 4


def told(kind, rule, texts):
    """Return which of some texts a rule speaks of."""
    return [text for text, (_, rules) in zip(texts, cleaned(kind, texts), strict=True) if rule in rules]


def test_texts_that_were_cut_are_told():
    cut = ["经查当事人...", "经查……", "甲" * 300 + "…"]
    assert told("text", "text.cut", [*cut, "经查。", "甲" * 255, "1..2", "...", None, ""]) == cut


def test_question_marks_and_boxes_in_the_place_of_words_are_told():
    assert told("text", "text.question_mark", ["经查，??人于", "是否合格??", "甲??"]) == ["经查，??人于"]
    assert told("text", "value.lost", ["□□□", "□是 ■否"]) == ["□□□"]


def test_names_behind_their_number_in_a_list_are_told():
    numbered = ["1、甲公司", "1.甲公司", "(2)甲公司", "（3）甲公司", "①甲公司", "12 岳阳假设养殖合作社"]
    honest = ["58同城信息", "7.11便利店", "1.5度设计公司", "3M中国有限公司", "（香港）甲公司", "360 安全公司", "1号店"]
    assert told("name", "name.numbered", [*numbered, *honest]) == numbered


def test_one_of_several_names_is_told():
    several = ["甲有限公司等3家", "甲商行等五户", "甲有限公司等"]
    assert told("name", "name.several", [*several, "示例之家", "甲等奖公司", "平等"]) == several


def test_a_telephone_number_is_no_part_of_a_name():
    texts = ["张某甲13900000000", "139 示例公司", "13900000000001示例"]
    assert told("name", "name.is_identifier", texts) == texts[:1]


@pytest.mark.parametrize("word", ["本局", "我单位", "市局", "该公司"])
def test_what_names_an_office_to_itself_is_no_name(word):
    assert one("name", word) == (None, ["name.no_letter"])


def test_several_document_numbers_in_one_field_are_told():
    several = ["示罚〔2024〕1号、2号", "示罚〔2024〕1号;示罚〔2024〕2号", "示罚〔2024〕1号，2号"]
    honest = ["示罚〔2024〕1号", "示罚〔2024〕 1 号", "（2024）湘01执1号之一", "示罚〔2024〕1、2号"]
    assert told("document_no", "document_no.several", [*several, *honest]) == several


def test_the_mark_of_a_footnote_is_part_of_no_name_and_no_number():
    assert one("name", "示例有限公司¹") == (None, ["name.markup"])
    assert one("document_no", "示罚〔2024〕104¹号") == (None, ["name.markup"])
    assert one("text", "占地100m²") == ("占地100m²", [])
