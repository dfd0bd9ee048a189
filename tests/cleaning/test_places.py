"""A place name is read as one of Hunan only where nothing in the record says otherwise."""

from typing import Any

import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.models import Contract

HERE, NATIONAL, FUJIAN = "91430100MAXY00016P", "91100000MAXY000162", "91350100MAXY000169"


def contract(**more: Any) -> Contract:
    return Contract.model_validate(
        {
            "format": 1,
            "id": "some_list",
            "title": "名单",
            "department": {"code": "430000-XX", "name": "示例局"},
            "domain": "some",
            "kind": "registration",
            "basis": {"legal": "示例", "share": "无条件"},
            "columns": [
                {"source": "名称", "element": "subject_name"},
                {"source": "代码", "element": "uscc"},
                {"source": "省", "element": "province_name", "optional": True},
                {"source": "地区", "element": "region_code"},
            ],
        }
        | more
    )


def read(place: str, *, code: str = HERE, province: str | None = None, **more: Any) -> tuple[str | None, list[str]]:
    row = {"名称": "示例有限公司", "代码": code, "地区": place} | ({"省": province} if province else {})
    passed, _, issues = standardise_rows(contract(**more), [row])
    return passed["region_code"][0].as_py(), [r for r in issues["rule"].to_pylist() if r.startswith("region")]


@pytest.mark.parametrize(
    ("place", "more", "expected"),
    [
        ("永定区", {}, ("430802", [])),
        ("永定区", {"code": NATIONAL}, ("430802", [])),
        ("永定区", {"code": FUJIAN}, (None, ["region.elsewhere"])),
        ("湖南省永定区", {"code": FUJIAN}, ("430802", [])),
        ("资阳", {"province": "四川"}, (None, ["region.elsewhere"])),
        ("资阳", {"province": "湖南省"}, ("430902", [])),
        ("岳麓区", {"code": FUJIAN}, ("430104", [])),  # no other place is called so: a firm that moved here
        ("岳麓区", {"province": "福建省"}, (None, ["region.elsewhere"])),
        ("430104", {"province": "福建省"}, ("430104", [])),
        ("永定区", {"region": "350000"}, (None, ["region.unknown"])),
    ],
)
def test_a_bare_name_is_ours_unless_the_record_points_elsewhere(
    place: str, more: dict[str, Any], expected: tuple[str | None, list[str]]
) -> None:
    assert read(place, **more) == expected
