"""Invented enterprises and persons as columns. Every value is a pure function of a number, so chunks need no memory."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Column = pa.StringArray


def listed(text: str) -> list[str]:
    """Split a list written as one string."""
    return text.split()


PREFECTURES = listed(
    "长沙市 株洲市 湘潭市 衡阳市 邵阳市 岳阳市 常德市 张家界市 益阳市 郴州市 永州市 怀化市 娄底市 湘西土家族苗族自治州"
)
COUNTIES = """
4301 02 03 04 05 11 12 21 81 82
4302 02 03 04 11 12 23 24 25 81
4303 02 04 21 81 82
4304 05 06 07 08 12 21 22 23 24 26 81 82
4305 02 03 11 22 23 24 25 27 28 29 81 82
4306 02 03 11 21 23 24 26 81 82
4307 02 03 21 22 23 24 25 26 81
4308 02 11 21 22
4309 02 03 21 22 23 81
4310 02 03 21 22 23 24 25 26 27 28 81
4311 02 03 22 23 24 25 26 27 28 29 81
4312 02 21 22 23 24 25 26 27 28 29 30 81
4313 02 21 22 81 82
4331 01 22 23 24 25 26 27 30
"""
REGIONS = [line.split()[0] + county for line in COUNTIES.split("\n") if line for county in line.split()[1:]]
PREFECTURE_OF_REGION = np.unique([r[:4] for r in REGIONS], return_inverse=True)[1]

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)
_USCC_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])
_ORG_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = np.frombuffer(b"10X98765432", np.uint8)

BRANDS = (
    "长沙湘江岳麓芙蓉星辰华天恒信诚达瑞丰金盛鑫隆宏远泰和安康顺利福"
    "源嘉美佳创新科联众博雅文景明德立仁义礼智友邦国民生正大中南北东西"
)
TRADES = listed(
    "科技 商贸 建筑工程 食品 物流 房地产开发 餐饮管理 医药 环保科技 农业开发 文化传媒 机械制造 电子商务 人力资源服务 "
    "新材料 汽车销售 装饰设计 教育咨询 物业管理 信息技术"
)
FORMS = listed("有限公司 有限责任公司 股份有限公司 （集团）有限公司 （湖南）有限公司")
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建文玲斌宇浩凯欣怡子涵梓轩雨泽诗琪"
RARE = ["㙍", "𬭎", "㛃", "𠅤", "𫖯", "㵘"]  # four bytes each in GB18030


def noise(numbers: U64, salt: int) -> U64:
    """Return 64 well-mixed bits for each number (splitmix64); another salt, another stream."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64((salt * 0x9E3779B97F4A7C15) % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def pick(numbers: U64, salt: int, below: int) -> NDArray[np.int64]:
    """Return an integer in [0, below) for each number."""
    return (noise(numbers, salt) % np.uint64(below)).astype(np.int64)


def chance(numbers: U64, salt: int, share: float) -> NDArray[np.bool_]:
    """Return True for about `share` of the numbers."""
    return (noise(numbers, salt) >> np.uint64(11)).astype(np.float64) < share * 2.0**53


def strings(fixed: Bytes) -> Column:
    """Turn (n, width) ASCII bytes into a string column without copying rows one by one."""
    n, width = fixed.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(fixed)))


def words(values: list[str], index: NDArray[np.int64]) -> Column:
    """Return values[index] as a string column."""
    return pa.array(values, pa.string()).take(pa.array(index))


def joined(*parts: Column | str) -> Column:
    """Concatenate columns and constants row by row."""
    return pc.binary_join_element_wise(*parts, "")


def _digits(values: NDArray[np.int64], width: int, base: int = 10) -> NDArray[np.int64]:
    return values[:, None] // base ** np.arange(width - 1, -1, -1) % base


def uscc_check(codes: Bytes) -> Bytes:
    """Return the 18th character (GB 32100) of (n, 17+) ASCII codes."""
    value = np.zeros(128, np.int64)
    value[_LETTERS] = np.arange(31)
    return _LETTERS[(31 - value[codes[:, :17]] @ _USCC_WEIGHTS % 31) % 31]


def org_check(codes: Bytes) -> Bytes:
    """Return the ninth character (GB 11714, A=10 .. Z=35) of (n, 8) ASCII codes."""
    value = np.where(codes >= ord("A"), codes.astype(np.int64) - 55, codes.astype(np.int64) - 48)
    return np.frombuffer(b"0123456789X0", np.uint8)[11 - value @ _ORG_WEIGHTS % 11]


def person_check(codes: Bytes) -> Bytes:
    """Return the 18th character (GB 11643, MOD 11-2) of (n, 17+) ASCII digits."""
    return _ID_CHECKS[(codes[:, :17].astype(np.int64) - 48) @ _ID_WEIGHTS % 11]


@dataclass(frozen=True)
class Enterprises:
    """A registry as columns: code bytes (n, 18), name, region index, legal representative and his id bytes (n, 18)."""

    uscc: Bytes
    name: Column
    region: NDArray[np.int64]
    legal_rep: Column
    legal_rep_id: Bytes

    def __len__(self) -> int:
        return len(self.uscc)


def enterprises(count: int) -> Enterprises:
    """Invent `count` enterprises; number e is the same whatever the count."""
    return numbered(np.arange(count, dtype=np.uint64))


def numbered(e: U64) -> Enterprises:
    """Invent the enterprises of these numbers."""
    region = pick(e, 1, len(REGIONS))
    return Enterprises(_uscc(e, region), _names(e, region), region, _persons(e), _person_ids(e, region))


def _uscc(e: U64, region: NDArray[np.int64]) -> Bytes:
    out = np.empty((len(e), 18), np.uint8)
    out[:, 0], out[:, 1] = ord("9"), np.where(chance(e, 2, 0.1), ord("2"), ord("1"))
    out[:, 2:8] = np.array([list(r.encode()) for r in REGIONS], np.uint8)[region]
    order = (e * np.uint64(7368787)).astype(np.int64)  # prime to both moduli, so codes never repeat
    modern = np.concatenate(
        [np.broadcast_to(np.frombuffer(b"MA", np.uint8), (len(e), 2)), _LETTERS[_digits(order % 31**6, 6, 31)]], axis=1
    )
    old = (_digits(order % 10**8, 8) + 48).astype(np.uint8)
    out[:, 8:16] = np.where(chance(e, 3, 0.6)[:, None], modern, old)
    out[:, 16] = org_check(out[:, 8:16])
    out[:, 17] = uscc_check(out)
    return out


def _names(e: U64, region: NDArray[np.int64]) -> Column:
    pairs = [a + b for a in BRANDS for b in BRANDS]
    city = words(PREFECTURES, PREFECTURE_OF_REGION[region])
    brand, third = (
        words(pairs, pick(e, 4, len(pairs))),
        words([*BRANDS, *[""] * len(BRANDS)], pick(e, 5, 2 * len(BRANDS))),
    )
    trade = words(TRADES, pick(e, 6, len(TRADES)))
    return joined(city, brand, third, trade, words(FORMS * 3 + FORMS[:2] * 30, pick(e, 7, 75)))


def _persons(e: U64) -> Column:
    given = [a + b for a in GIVEN for b in GIVEN] + list(GIVEN) * 12
    name = joined(words(list(SURNAMES), pick(e, 8, len(SURNAMES))), words(given, pick(e, 9, len(given))))
    rare = chance(e, 10, 0.003)
    some = joined(words(list(SURNAMES), pick(e[rare], 8, len(SURNAMES))), words(RARE, pick(e[rare], 11, len(RARE))))
    return pc.replace_with_mask(name, pa.array(rare), some)


def _person_ids(e: U64, region: NDArray[np.int64]) -> Bytes:
    days = np.datetime64("1950-01-01") + np.arange(18_000)
    born = np.array([list(str(d).replace("-", "").encode()) for d in days], np.uint8)
    out = np.empty((len(e), 18), np.uint8)
    out[:, :6] = np.array([list(r.encode()) for r in REGIONS], np.uint8)[region]
    out[:, 6:14] = born[pick(e, 12, len(days))]
    out[:, 14:17] = _digits(1 + pick(e, 13, 990), 3) + 48
    out[:, 17] = person_check(out)
    return out
