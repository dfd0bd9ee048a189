"""Partition keys of deliveries, department|prefecture|month, and how a month is rolled up from them.

A month (yyyymm, Shanghai) is that in which a delivery arrived, as in the scorecards. Mapper and window run in the
scheduler and the API server, which know them through the plugin file. They decide when to look, never what is there:
what arrived stands in the home.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.model.regions import prefecture_of
from chengxin.orchestration.airflow_internals.partition_bases import PartitionMapper, Window

MONTH = "%Y%m"
# every how many months a delivery is expected; what is irregular is expected by nobody and has no key
EVERY = {"hourly": 1, "daily": 1, "weekly": 1, "monthly": 1, "quarterly": 3, "yearly": 12}


def is_expected(contract: Contract) -> bool:
    """Return whether deliveries of a contract have a key: whether somebody expects them at some time."""
    return contract.delivery.cadence in EVERY


def key_of(contract: Contract, delivery: Mapping[str, Any]) -> str:
    """Return the key of a delivery (as JSON), by when it reached us, whatever period its name states.

    What is pulled reaches us as it is landed.
    """
    told = delivery["locator"].get("arrived")
    arrived = datetime.fromisoformat(told) if told else Home.from_environment().clock.now()
    return f"{_pair(contract)}|{arrived.astimezone(SHANGHAI).strftime(MONTH)}"


def _pair(contract: Contract) -> str:
    return f"{contract.department.code}|{prefecture_of(contract.region)}"


class MonthOfDelivery(PartitionMapper):  # type: ignore[misc]  # untyped base
    """430000-SWJ|4300|202610 -> 202610."""

    expected_decoded_type: ClassVar[type] = tuple

    def to_downstream(self, key: str) -> str:
        """Return the month of a delivery's key."""
        month = key.rpartition("|")[2]
        self.to_partition_date(month)
        return month

    def decode_downstream(self, downstream_key: str) -> tuple[str, str]:
        """Return a month as the end of keys whose beginning the window knows."""
        return "", downstream_key

    def encode_upstream(self, decoded: tuple[str, str]) -> str:
        """Return the key of a department and prefecture in a month."""
        return "|".join(decoded)

    def to_partition_date(self, downstream_key: str) -> datetime:
        """Return the first instant of a month; raise ValueError when it is none."""
        return datetime.strptime(downstream_key, MONTH).replace(tzinfo=SHANGHAI)


class ExpectedDeliveries(Window):  # type: ignore[misc]  # untyped base
    """The departments and prefectures of which something is expected in a month. every: pair -> months between."""

    expected_decoded_type: ClassVar[type] = tuple

    def __init__(self, every: Mapping[str, int], **options: Any) -> None:
        super().__init__(**options)
        self.every = dict(sorted(every.items()))

    @classmethod
    def of(cls, contracts: Iterable[Contract]) -> "ExpectedDeliveries":
        """Return the window over these contracts; the most frequent of a pair counts."""
        every: dict[str, int] = {}
        for contract in filter(is_expected, contracts):
            months = EVERY[contract.delivery.cadence]
            every[_pair(contract)] = min(months, every.get(_pair(contract), months))
        return cls(every)

    def to_upstream(self, decoded_downstream: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the pairs of which something is expected in a month."""
        month = decoded_downstream[1]
        return [(pair, month) for pair, months in self.every.items() if int(month[4:]) % months == 0]

    def serialize(self) -> dict[str, Any]:
        """Return what Airflow keeps of it. When that changes, Airflow forgets the keys of a month not yet complete."""
        return {**super().serialize(), "every": self.every}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "ExpectedDeliveries":
        """Rebuild from `serialize`."""
        return cls(data["every"], direction=cls.Direction(data["direction"]))
