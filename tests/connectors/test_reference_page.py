"""The reference page of the connectors is the one that their option models yield."""

from typing import get_args

from chengxin.connectors.describe import CONNECTORS, pages
from chengxin.contracts.describe import REFERENCE
from chengxin.contracts.models import DeliverySpec


def test_page_is_up_to_date():
    for name, text in pages().items():
        assert (REFERENCE / name).read_text("utf-8") == text, "run make describe"


def test_every_connector_is_described():
    names = get_args(DeliverySpec.model_fields["connector"].annotation)
    assert set(CONNECTORS) == set(names)
