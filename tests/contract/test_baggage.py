"""What a caller's baggage may say to a pool: how a run is called, never where anything is sent."""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.headers import BAGGAGE_ADDRESS, inject, parse_inbound, parse_parent

REPLICAS = quote(json.dumps([{"api_url": "https://elsewhere.example", "project_name": "p"}]), safe="")
KEPT = "langsmith-project=p,tenant=acme,langsmith-tags=a%2Cb"
ADDRESSES = (
    f"langsmith-replicas={REPLICAS}",
    "langsmith-replicas=%5B%5D",
    "LangSmith-Replicas=x",
    "langsmith-address=10.0.0.1",
    "langsmith-endpoint=elsewhere.example",
    "callback=https%3A%2F%2Felsewhere.example%2Fhook",
    "callback=https://elsewhere.example",
    "proxy=//elsewhere.example",
    "file=file:/etc/passwd",
    "who=me;home=https%3A%2F%2Felsewhere.example",
)


@pytest.mark.parametrize("item", ADDRESSES)
@pytest.mark.parametrize("order", ["{0},{1}", "{1},{0}"])
def test_an_item_that_names_an_address_is_dropped_and_counted_and_the_rest_goes_on(
    item: str, order: str
) -> None:
    inbound = parse_inbound({"baggage": order.format(item, KEPT)})
    assert inbound.dropped == (BAGGAGE_ADDRESS,)
    sent = inject(baggage=inbound.baggage)["baggage"]
    assert "elsewhere" not in unquote(sent)
    assert "replicas" not in sent.lower()
    assert {"langsmith-project=p", "tenant=acme"} <= set(sent.split(","))
    assert parse_inbound({"baggage": sent}).dropped == ()


def test_nothing_is_dropped_from_baggage_without_addresses() -> None:
    inbound = parse_inbound(
        {"baggage": f"{KEPT},langsmith-metadata={quote(json.dumps({'page': 'https://a'}))}"}
    )
    assert inbound.dropped == ()
    assert inbound.baggage.metadata == {
        "page": "https://a"
    }  # a fact about the run, read by nobody as an address


def test_a_pool_that_parses_for_itself_drops_them_too() -> None:
    run = "20261122T100000000000Z0199aaaa-0000-7000-8000-000000000001"
    parent = parse_parent({"langsmith-trace": run, "baggage": f"{ADDRESSES[0]},langsmith-project=p"})
    assert parent == {"langsmith-trace": run, "baggage": "langsmith-project=p"}


@given(st.lists(st.sampled_from([*ADDRESSES, "a=1", "langsmith-project=q", "b=x%20y"]), max_size=6))
def test_no_mixture_lets_an_address_through(items: list[str]) -> None:
    sent = inject(baggage=parse_inbound({"baggage": ",".join(items)}).baggage).get("baggage", "")
    assert not [item for item in ADDRESSES if item in sent]
