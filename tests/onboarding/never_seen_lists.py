"""Lists that no contract was written for: other headers, layouts and spellings than ours. All values are invented.

LISTS: file name -> the kind that it is, and a line a column: header | element that a careful person would choose (- =
none) | value, where `~` parts the values of even and odd rows and braces name what `_row` fills in.
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import xlwt
import yaml

from chengxin.contracts.loader import read_contract
from chengxin.contracts.models import Contract
from deliveries import org_code, person_doc, reg_no, uscc

ROWS = 40
LISTS: dict[str, tuple[str, str]] = {
    "行政处罚信息公示表.csv": (
        "penalty",
        """序号 | - | {i}
        处罚决定书文号 | decision_no | 株市监罚决〔2024〕{i}号
        案件名称 | item_name | 样本公司{i}案
        被处罚的自然人姓名或法人名称 | subject_name | {company}
        社会信用代码 | uscc | {uscc}
        法定代表人（负责人）姓名 | legal_rep_name | {person}
        主要违法事实 | violation_facts | 销售不合格样本商品
        行政处罚的种类 | penalty_class_name | 罚款~警告
        处罚依据 | legal_basis | 产品质量法第五十条
        行政处罚的履行方式和期限 | - | 十五日内缴纳
        罚款额（元） | fine | {amount}
        作出处罚的机关名称 | authority_name | 株洲市样本市场监督管理局
        作出处罚的日期 | decision_on | {y}年{m}月{d}日
        公示截止日期 | publicity_until_on | {y}-{m}-{d}
        备注 | remark | """,
    ),
    "许可事项清单.xlsx": (
        "licence",
        """许可文书编号 | decision_no | (湘株)许字[2024]第{i}号
        项目名称 | item_name | 样本许可
        审批类别 | licence_class_code | 普通~核准
        行政相对人名称 | subject_name | {company}
        行政相对人代码_1（统一社会信用代码） | uscc | {uscc}
        行政相对人代码_3（工商登记码） | reg_no | {reg_no}
        法定代表人 | legal_rep_name | {person}
        法定代表人身份证号 | legal_rep_doc_no | {doc}
        许可生效期 | valid_from_on | {y}/{m}/{d}
        许可截止期 | valid_to_on | 2099/12/31
        准予许可日期 | decision_on | {y}/{m}/{d}
        许可机关 | authority_name | 株洲市样本局
        许可机关代码 | authority_uscc | {authority}
        当前状态 | decision_status_code | 0~1
        地方编码 | region_code | 430200
        数据更新时间 | source_updated_at | {y}-{m}-{d} 10:00:00""",
    ),
    "2024年第一季度欠税公告.csv": (
        "tax_arrears",
        """序号 | - | {i}
        欠税企业名称 | subject_name | {company}
        纳税人识别号 | tax_no | {uscc}
        法定代表人或业主姓名 | legal_rep_name | {person}
        居民身份证或其他有效身份证件号码 | legal_rep_doc_no | {masked}
        经营地点 | address | 株洲市样本路{i}号
        欠税税种 | tax_type_name | 增值税~企业所得税
        欠税余额（元） | arrears_balance | {amount}.50
        其中：当期新发生的欠税额 | arrears_new | {i}.25
        主管税务所（科、分局） | authority_name | 样本税务分局
        公告日期 | published_on | 2024-04-10""",
    ),
    "失信人名单.json": (
        "dishonest_person",
        """iname | subject_name | {person}~{company}
        cardNum | person_doc_no | {doc}~
        orgCode | org_code | ~{org_code}
        caseCode | case_no | （2024）湘0202执{i}号
        age | age | {age}~
        sexy | sex_code | 男~
        courtName | authority_name | 株洲市样本区人民法院
        areaName | province_name | 湖南
        gistId | enforcement_basis_no | （2023）湘0202民初{i}号
        gistUnit | basis_authority_name | 株洲市样本区人民法院
        duty | obligation | 支付货款
        performance | performance_code | 全部未履行~部分履行
        disruptTypeName | conduct | 有履行能力而拒不履行
        publishDate | published_on | {y}年{m}月{d}日
        regDate | filed_on | {y}年{m}月{d}日
        partyTypeName | - | 580~581""",
    ),
    "失信被执行人.csv": (
        "dishonest_person",
        """失信被执行人姓名/名称 | subject_name | {company}
        证件号码（组织机构代码） | org_code | {org_code}
        企业法人姓名 | legal_rep_name | {person}
        执行法院 | authority_name | 株洲市样本区人民法院
        省份 | province_name | 湖南
        执行案号 | case_no | （2024）湘0202执{i}号
        立案日期 | filed_on | {y}.{m}.{d}
        生效法律文书确定义务 | obligation | 支付
        履行情况 | performance_code | 全部未履行
        失信行为情形 | conduct | 规避执行
        公布日期 | published_on | {y}.{m}.{d}""",
    ),
    "经营异常名录.xls": (
        "abnormal_operation",
        """市场主体名称 | subject_name | {company}
        统一社会信用代码/注册号 | uscc | {uscc}
        列入经营异常名录原因 | listed_reason | 未按期公示年报
        列入日期 | listed_on | {y}-{m}-{d}
        列入决定机关 | authority_name | 样本市监局
        移出经营异常名录原因 | removal_reason |
        移出日期 | removed_on |
        移出决定机关 | removed_by_name | """,
    ),
    "A级纳税人.csv": (
        "tax_rating",
        """纳税人识别号 | tax_no | {uscc}
        纳税人名称 | subject_name | {company}
        评价年度 | rating_year | 2024
        信用级别 | tax_grade_code | A
        主管税务机关 | authority_name | 样本税务局""",
    ),
    "新增企业名录.csv": (
        "registration",
        """企业(机构)名称 | subject_name | {company}
        信用代码 | uscc | {uscc}
        企业(机构)类型 | entity_type_name | 有限责任公司
        成立时间 | established_on | {y}{m}{d}
        注册资本(金) | registered_capital | {amount}万元
        住所 | address | 样本路{i}号
        法定代表人(负责人) | legal_rep_name | {person}
        行业门类 | industry_code | F51
        登记机关 | authority_name | 样本局
        核准时间 | approved_on | {y}{m}{d}
        企业状态 | reg_status_code | 存续~注销
        联系人电话 | contact_phone | 0731-8{i:07d}
        从业人数 | - | {i}""",
    ),
    "担保明细.tsv": (
        "guarantee",
        """担保企业名称 | subject_name | {company}
        担保企业统一社会信用代码 | uscc | {uscc}
        被担保企业名称 | related_name | {other}
        被担保企业统一社会信用代码 | related_uscc | {other_uscc}
        合同编号 | contract_no | BZ2024{i:05d}
        担保金额(万元) | guaranteed_amount | {amount}
        担保方式 | guarantee_method_code | 保证~抵押
        担保起始日 | valid_from_on | {y}-{m}-{d}
        担保到期日 | valid_to_on | {y}-{m}-{d}
        金融机构 | institution_name | 样本银行""",
    ),
    "重大税收违法失信主体.csv": (
        "tax_major_violation",
        """纳税人名称 | subject_name | {company}
        纳税人识别号 | tax_no | {uscc}
        组织机构代码 | - |
        注册地址 | - | 样本路{i}号
        法定代表人或者负责人姓名 | legal_rep_name | {person}
        性别 | - | 男
        证件名称 | legal_rep_doc_type_code | 身份证
        证件号码 | legal_rep_doc_no | {doc}
        案件性质 | case_type_name | 偷税
        主要违法事实 | violation_facts | 样本
        相关法律依据及税务处理处罚情况 | handling | 样本
        案件上报期 | report_period_name | 2024年3月""",
    ),
    "统计严重失信企业.xls": (
        "serious_violation",
        """序号 | - | {i}
        企业名称 | subject_name | {company}
        统一社会信用代码 | uscc | {uscc}
        法定代表人 | legal_rep_name | {person}
        统计违法行为 | - | 提供不真实统计资料
        认定文书号 | decision_no | 株统认〔2024〕{i}号
        认定机关 | authority_name | 株洲市样本统计局
        认定日期 | listed_on | {y}-{m}-{d}
        公示期限截止 | publicity_until_on | 2027-{m}-{d}""",
    ),
    "股权出质登记.csv": (
        "equity_pledge",
        """质权登记编号 | pledge_no | 430200{i:06d}
        出质股权所在公司名称 | subject_name | {company}
        出质股权所在公司统一社会信用代码 | uscc | {uscc}
        出质人姓名(名称) | pledgor_name | {person}
        出质人证件号码 | pledgor_id_no | {doc}
        质权人姓名(名称) | pledgee_name | {other}
        质权人证件号码 | pledgee_id_no | {other_uscc}
        登记日期 | pledge_registered_on | {y}-{m}-{d}""",
    ),
    "药品经营许可.csv": (
        "licence",
        """许可证编号 | certificate_no | 湘CB7{i:05d}
        企业名称 | subject_name | {company}
        社会信用代码 | uscc | {uscc}
        法定代表人 | legal_rep_name | {person}
        质量负责人 | - | {person}
        有效期至 | valid_to_on | 2029-{m}-{d}
        发证机关 | authority_name | 株洲市样本市场监督管理局
        许可文号 | decision_no | 株药许〔2024〕{i}号
        批准时间 | decision_on | {y}-{m}-{d}""",
    ),
}


def _row(i: int) -> dict[str, object]:
    document = person_doc(i)
    return {
        "i": i + 1, "person": "张李王刘陈杨赵黄周吴"[i % 10] + "某" + "明华强丽敏静伟芳军洋"[i // 10 % 10],
        "company": f"株洲样本{i}商贸有限公司", "other": f"湘潭样本{i}实业有限公司", "uscc": uscc(i + 10),
        "other_uscc": uscc(i + 500), "authority": uscc(900 + i % 3, kind="11", region="430200"), "reg_no": reg_no(i),
        "org_code": org_code(i), "doc": document, "masked": f"{document[:6]}********{document[-4:]}",
        "age": 30 + i % 30, "amount": 1000 + i * 7,
        "y": 2021 + i % 3, "m": f"{i % 12 + 1:02d}", "d": f"{i % 28 + 1:02d}",
    }  # fmt: skip


def expected(name: str) -> dict[str, str | None]:
    """Return header -> element of a list."""
    return {header: None if element == "-" else element for header, element, _ in _columns(name)}


def values(name: str) -> list[list[str]]:
    """Return the rows of a list."""
    forms = [value.split("~") for _, _, value in _columns(name)]
    return [[form[i % len(form)].format(**_row(i)) for form in forms] for i in range(ROWS)]


def _columns(name: str) -> list[tuple[str, str, str]]:
    lines = [[part.strip() for part in line.split("|")] for line in LISTS[name][1].splitlines()]
    return [(header, element, value) for header, element, value in lines]


def write(name: str, folder: Path) -> Path:
    """Write one of the lists in the format that its name says; some have a title above the header."""
    head, rows, path = list(expected(name)), values(name), folder / name
    match path.suffix:
        case ".csv":
            title = [[path.stem, *[""] * (len(head) - 1)]] if "公" in name else []
            with path.open("w", encoding="gb18030", newline="") as stream:
                csv.writer(stream).writerows([*title, head, *rows])
        case ".tsv":
            path.write_text("".join("\t".join(row) + "\n" for row in [head, *rows]), "utf-8")
        case ".json":
            records = [dict(zip(head, row, strict=True)) for row in rows]
            path.write_text(
                json.dumps({"code": 0, "data": {"total": ROWS, "rows": records}}, ensure_ascii=False), "utf-8"
            )
        case ".xlsx":
            book = openpyxl.Workbook()
            for row in [["株洲市样本汇总表"], head, *rows]:
                book.active.append(row)
            book.save(path)
        case ".xls":
            old = xlwt.Workbook()
            sheet = old.add_sheet("名录")
            for y, row in enumerate([head, *rows]):
                for x, value in enumerate(row):
                    sheet.write(y, x, value)
            old.save(str(path))
    return path


def as_contract(text: str, folder: Path, *, decided: bool = False) -> Contract:
    """Read a draft as the loader does; decided: as a person left it who ignored every open column."""
    if decided:
        text = re.sub(r"(?m)^  \w+_code: \{.*$", lambda codes: codes[0].replace("待定", "1"), text)
        text = (
            text.replace("unit: 待定", "unit: 元")
            .replace("legal: 待定", "legal: 测试")
            .replace(": 待定", ": 本用途不归集")
        )
    dataset = yaml.safe_load(text)["id"]
    path = folder / f"{dataset}.yaml"
    path.write_text(text, "utf-8")
    contract, problems = read_contract(path, folder)
    assert contract is not None, problems
    return contract


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path
