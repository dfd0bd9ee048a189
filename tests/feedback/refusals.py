"""A penalty that is refused for its code, and the same as the department corrects it."""

from deliveries import penalty, uscc


def wrong(n: int, **more):
    return penalty(n, source_record_id=f"k{n}", subject_name=f"湖南示例{n}有限公司", uscc=uscc(n)[:-1] + "I") | more


def right(n: int, **more):
    return wrong(n) | {"uscc": uscc(n)} | more
