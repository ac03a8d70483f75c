"""Requests no client should send: a clear 4xx each, the connection handled, other requests unharmed."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contract.route_for import HEALTH_PATHS, INTERNAL_PREFIXES, PUBLIC_CORE_PREFIXES
from fleet.kit.door import Door
from registry_app.keyring import KeyRing
from routing_app.dispatcher.errors import Problem
from routing_app.dispatcher.gate import admit, encoded, normalised
from routing_app.dispatcher.shapes import InputShape
from tests.dispatcher.conftest import KEY, READER, key

if TYPE_CHECKING:
    from tests.dispatcher.conftest import Site

GOOD = b'{"assistant_id":"probe_email","input":{"x":1}}'
JSON = {"content-type": "application/json"}


async def fine(front: Site) -> None:
    answer = await front.http.post("/runs/wait", content=GOOD, headers=JSON)
    assert answer.status_code == 200


def address(front: Site) -> tuple[str, int]:
    host, port = front.url.removeprefix("http://").split(":")
    return host, int(port)


async def everything(front: Site, data: bytes) -> bytes:
    """All that is answered to these bytes until the dispatcher closes the connection."""
    reader, writer = await asyncio.open_connection(*address(front))
    said = b""
    with contextlib.suppress(ConnectionError):  # closed on what it did not read
        writer.write(data)
        async with asyncio.timeout(5):
            while piece := await reader.read(65_536):
                said += piece
    writer.close()
    return said


async def raw(front: Site, data: bytes, *, close: bool = False) -> bytes:
    """The status line the dispatcher answers these bytes with; empty when it only closed."""
    reader, writer = await asyncio.open_connection(*address(front))
    writer.write(data)
    if close:
        writer.write_eof()
    try:
        async with asyncio.timeout(5):
            return (await reader.readline()).strip()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Invalid JSON"),
        (b'{"assistant_id":"probe_email","inp', "Invalid JSON"),
        (b'{"assistant_id":"probe_email","input":{"a":"\xff"}}', "Invalid JSON"),
        (b'{"assistant_id":"probe_core","assistant_id":"probe_email"}', "duplicate key 'assistant_id'"),
        (b'{"assistant_id":"probe_email","input":{"x":1,"x":2}}', "duplicate key 'x'"),
        (b'{"assistant\\u005fid":"probe_core","assistant_id":"probe_email"}', "duplicate key 'assistant_id'"),
        (b'{"assistant_id":"probe_email","input":' + b"[" * 100_000, "Invalid JSON"),
        (b"[]", "body"),
        (b'{"assistant_id":""}', "assistant_id"),
        (b'{"assistant_id":null}', "assistant_id"),
        (b'{"assistant_id":"probe_email","input":{"x":NaN}}', "Invalid JSON"),
        (
            b'{"assistant_id":"probe_email","input":{"x":' + b"9" * 5_000 + b"}}",
            "input: Integer value out of range",
        ),
    ],
)
async def test_bodies_that_cannot_be_read(front: Site, body: bytes, says: str) -> None:
    answer = await front.http.post("/runs/wait", content=body, headers=JSON)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert not front.email.seen
    assert not front.core.seen
    await fine(front)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        (JSON | {"content-encoding": "gzip"}, 415),
        (JSON | {f"x-flood-{n}": "1" for n in range(200)}, 431),
        (JSON | {"x-large": "y" * 40_000}, 431),
    ],
)
async def test_headers_that_are_refused(front: Site, headers: dict[str, str], status: int) -> None:
    answer = await front.http.post("/runs/wait", content=GOOD, headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"]
    await fine(front)


async def test_an_oversized_body_is_413_declared_or_not(front: Site) -> None:
    large = b'{"assistant_id":"probe_email","input":{"pad":"' + b"x" * 300_000 + b'"}}'
    assert (await front.http.post("/runs/wait", content=large, headers=JSON)).status_code == 413

    async def parts() -> object:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    answer = await front.http.post("/runs/wait", content=parts(), headers=JSON)  # type: ignore[arg-type]
    assert answer.status_code == 413
    await fine(front)


async def test_a_slow_sender_is_408_and_holds_nothing(front: Site) -> None:
    head = f"POST /runs/wait HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    line = await raw(front, head.encode() + b'content-length: 46\r\n\r\n{"assi')
    assert b" 408 " in line
    assert front.dispatcher.pools.pools["EMAIL"].runs.active == 0


async def test_a_truncated_body_leaves_nothing_behind(front: Site) -> None:
    head = f"POST /runs/wait HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    await raw(front, head.encode() + b'content-length: 46\r\n\r\n{"assi', close=True)
    assert not front.email.seen
    await fine(front)


HEAD = f"POST /runs/wait HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n".encode()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "PATIENCE_S", 0.2)


@pytest.mark.parametrize(
    "begun", [b"", b"POST /ru", HEAD + b"x-more: on its w"], ids=["nothing", "a line", "a head"]
)
@pytest.mark.usefixtures("hasty")
async def test_a_head_that_never_ends_is_408(front: Site, begun: bytes) -> None:
    said = await everything(front, begun)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert said.endswith(b'{"detail": "the request\'s headers did not arrive in time", "kind": "client"}')
    await fine(front)


@pytest.mark.usefixtures("hasty")
async def test_a_head_that_drips_is_408_too(front: Site) -> None:
    """More bytes buy no more time."""
    reader, writer = await asyncio.open_connection(*address(front))

    async def drip() -> None:
        writer.write(HEAD + b"x-drip: ")
        while not writer.is_closing():
            writer.write(b"y")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(5):
        line = await reader.readline()
    dripping.cancel()
    writer.close()
    assert b" 408 " in line


async def test_the_next_head_may_wait_while_an_answer_is_under_way(
    front: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "PATIENCE_S", 0.1)
    front.email.behave = "slow"  # longer than that
    reader, writer = await asyncio.open_connection(*address(front))
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(GOOD) + GOOD)
    async with asyncio.timeout(5):
        while not front.email.seen:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)
        writer.write(b"POST /ru")
        said = await reader.read()
    writer.close()
    answer, _, after = said.partition(b'{"x": 2}')
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " not in answer
    assert b"HTTP/1.1 408 " in after


async def test_a_flood_of_headers_is_431(front: Site) -> None:
    """Of many, or of one that never ends; whole, or on its way."""
    many = HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(20_000))
    for flood in (many, many + b"\r\n", HEAD + b"x: " + b"y" * 300_000, b"GET /" + b"y" * 300_000):
        assert b"HTTP/1.1 431 " in await everything(front, flood)
    await fine(front)


@pytest.mark.parametrize(
    "body", [b"content-length: -1\r\n\r\n", b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"]
)
async def test_what_is_not_http_is_400(front: Site, body: bytes) -> None:
    said = await everything(front, HEAD + body)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.endswith(b'{"detail": "this is not HTTP", "kind": "client"}')
    await fine(front)


async def test_a_flood_after_a_head_ends_the_connection(front: Site) -> None:
    """Trailers, and the size line of a chunk: nothing that comes would ever be a piece of a body."""
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    for flood in (b"2\r\n{}\r\n0\r\nx: " + b"y" * 300_000, b"2;x=" + b"y" * 300_000):
        assert b" 200 " not in await everything(front, head + flood)
    assert not front.email.seen
    await fine(front)


@pytest.mark.parametrize(
    "target",
    [
        "/runs//wait",
        "/runs/%2e%2e/_ml",
        "/runs%2fwait",
        "/threads/..%2f_ml/graphs",
        "/runs/../_ml",
        "/./runs",
        "/runs/%zz",
        "/runs/%00",
    ],
)
async def test_path_tricks(front: Site, target: str) -> None:
    line = await raw(
        front, f"POST {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
    )
    assert b" 400 " in line
    await fine(front)


@pytest.mark.parametrize(
    ("path", "auth", "status", "code"),
    [
        ("/_ml/graphs", None, 403, "INTERNAL_ONLY"),
        ("/_research", KEY, 403, "INTERNAL_ONLY"),
        ("/runs/wait", None, 401, "MISSING_AUTH"),
        ("/runs/wait", "wrong", 401, "BAD_AUTH"),
        ("/runsX", KEY, 404, "NOT_FOUND"),
        ("/runs/wait", READER, 403, "MISSING_SCOPE"),
        ("/runs/crons", KEY, 404, "NOT_FOUND"),
    ],
)
async def test_the_gate_speaks_in_the_order_of_the_contract(
    front: Site, path: str, auth: str | None, status: int, code: str
) -> None:
    async with httpx.AsyncClient(base_url=front.url) as http:
        headers = JSON | ({"authorization": f"Bearer {auth}"} if auth else {})
        answer = await http.post(path, content=GOOD, headers=headers)
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert answer.headers["x-request-id"]
    assert code in answer.json()["detail"] or code == "MISSING_SCOPE" or path.endswith("crons")


async def test_x_api_key_opens_as_bearer_does(front: Site) -> None:
    async with httpx.AsyncClient(base_url=front.url) as http:
        answer = await http.post("/runs/wait", content=GOOD, headers=JSON | {"x-api-key": KEY})
        both = JSON | {"authorization": f"Bearer {KEY}", "x-api-key": "lsv2_of_the_caller"}
        assert (await http.post("/runs/wait", content=GOOD, headers=both)).status_code == 200
    assert answer.status_code == 200


async def test_health_needs_no_key_and_metrics_does(front: Site) -> None:
    async with httpx.AsyncClient(base_url=front.url) as http:
        assert (await http.get("/ok")).json()["ok"] in (True, False)
        assert (await http.get("/info")).status_code == 200
        assert (await http.get("/metrics")).status_code == 401
        answer = await http.get("/metrics", headers={"x-api-key": READER})
    assert answer.status_code == 200
    assert "dispatcher_routing_version 1" in answer.text


RING = KeyRing([key(KEY, "*")])


@given(
    path=st.text(alphabet="/_.%2eEfmlruns;ok\\?#a0", max_size=30), auth=st.sampled_from([None, KEY, "bad"])
)
def test_the_gate_opens_only_public_paths_to_known_keys(path: str, auth: str | None) -> None:
    headers = {b"authorization": b"Bearer " + auth.encode()} if auth else {}
    clean, refused = "", 0
    try:
        clean = normalised(("/" + path).encode())
        assume(clean not in HEALTH_PATHS)  # answered before the gate
        admit("POST", clean, headers, RING, datetime.now(UTC))
    except Problem as problem:
        refused = problem.status
    if refused:
        assert 400 <= refused < 500
        return
    assert auth == KEY
    assert any(clean == prefix or clean.startswith(prefix + "/") for prefix in PUBLIC_CORE_PREFIXES)
    assert not any(clean == prefix or clean.startswith(prefix + "/") for prefix in INTERNAL_PREFIXES)
    assert normalised(encoded(clean).encode()) == clean


SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "integer", "minimum": 0},
        "name": {"type": "string", "minLength": 1, "maxLength": 3},
        "tone": {"enum": ["a", "b"]},
        "list": {"type": "array", "items": {"type": ["number", "null"]}, "maxItems": 2},
    },
    "required": ["x"],
    "additionalProperties": False,
}
values = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text("ab", max_size=4)
objects = st.dictionaries(
    st.sampled_from(["x", "name", "tone", "list", "other"]), values | st.lists(values, max_size=3), max_size=4
)


@given(value=objects | values)
def test_the_fast_yes_never_disagrees_with_jsonschema(value: object) -> None:
    from jsonschema import Draft202012Validator

    assert (not InputShape(SCHEMA).errors(value)) == Draft202012Validator(SCHEMA).is_valid(value)
