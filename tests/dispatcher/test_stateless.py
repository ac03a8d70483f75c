"""Stateless runs through the dispatcher: what reaches the pool, what comes back, what is refused before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from contract.graph_spec import assistant_uuid
from tests.dispatcher.conftest import KEY, UNTRUSTED, Site, graph, until

if TYPE_CHECKING:
    import httpx

DOTTED = "20261122T161208700001Z01234567-89ab-7cde-8f01-23456789abcd.20261122T161208731002Z01234567-89ab-7cde-8f01-23456789abce"
TRACEPARENT = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


async def run(
    front: Site, assistant: str = "probe_email", given: object = None, **kwargs: object
) -> httpx.Response:
    body = {"assistant_id": assistant, "input": {"x": 1} if given is None else given}
    return await front.http.post("/runs/wait", json=body, **kwargs)  # type: ignore[arg-type]


async def test_wait_answers_and_says_where_it_ran(front: Site) -> None:
    answer = await run(front)
    assert answer.status_code == 200
    assert answer.json() == {"x": 2}
    assert answer.headers["x-agentic-pool"] == "EMAIL"
    assert answer.headers["x-agentic-routing-version"] == "1"
    assert answer.headers["content-location"].endswith(answer.headers["x-langsmith-run-id"])
    assert answer.headers["location"].startswith("/threads/")
    assert answer.headers["x-request-id"]
    assert not front.core.seen


async def test_the_uuid_of_an_assistant_is_its_name(front: Site) -> None:
    assert (await run(front, assistant_uuid("probe_email"))).headers["x-agentic-pool"] == "EMAIL"


async def test_credentials_stay_and_the_pool_secret_goes(front: Site) -> None:
    await run(
        front,
        headers={
            "x-api-key": "mine",
            "cookie": "a=b",
            "x-tenant-id": "t",
            "x-custom": "kept",
            "connection": "x-hop",
            "x-hop": "1",
        },
    )
    seen = {name.lower(): value for name, value in front.email.seen[-1].headers.items()}
    assert seen["authorization"] == "Bearer secret-of-email"
    assert seen["x-api-key"] == "secret-of-email"
    assert seen["x-custom"] == "kept"
    assert not {"cookie", "x-tenant-id", "x-hop"} & set(seen)
    assert KEY not in json.dumps(seen)
    assert seen["x-agentic-dispatch-id"]
    assert seen["x-agentic-routing-digest"]


async def test_trace_headers_pass_unchanged(front: Site) -> None:
    sent = {
        "traceparent": TRACEPARENT,
        "langsmith-trace": DOTTED,
        "baggage": "langsmith-project=p",
        "x-request-id": "req-1",
    }
    answer = await run(front, headers=sent)
    seen = {name.lower(): value for name, value in front.email.seen[-1].headers.items()}
    assert {name: seen[name] for name in sent} == sent
    assert answer.headers["x-request-id"] == "req-1"


async def test_an_untrusted_key_starts_a_new_root(front: Site) -> None:
    sent = {
        "traceparent": TRACEPARENT,
        "langsmith-trace": DOTTED,
        "baggage": "langsmith-project=p",
        "authorization": f"Bearer {UNTRUSTED}",
    }
    await run(front, headers=sent)
    seen = {name.lower(): value for name, value in front.email.seen[-1].headers.items()}
    assert not {"langsmith-trace", "baggage"} & set(seen)
    assert seen["traceparent"] != TRACEPARENT


async def test_no_caller_says_where_a_pool_sends_its_traces(front: Site) -> None:
    sent = {"baggage": "langsmith-replicas=%5B%22https%3A%2F%2Fx%22%5D,tenant=acme,langsmith-project=p"}
    await run(front, headers=sent)
    seen = {name.lower(): value for name, value in front.email.seen[-1].headers.items()}
    assert seen["baggage"] == "langsmith-project=p,tenant=acme"
    metrics = (await front.http.get("/metrics")).text
    assert 'dispatcher_trace_headers_dropped_total{family="baggage-address"} 1' in metrics


async def test_malformed_trace_headers_are_dropped_and_counted(front: Site) -> None:
    answer = await run(front, headers={"traceparent": "00-zz", "langsmith-trace": "nope"})
    assert answer.status_code == 200
    seen = {name.lower(): value for name, value in front.email.seen[-1].headers.items()}
    assert "langsmith-trace" not in seen
    assert seen["traceparent"].startswith("00-")
    metrics = (await front.http.get("/metrics")).text
    assert 'dispatcher_trace_headers_dropped_total{family="traceparent"} 1' in metrics


async def test_a_failed_graph_is_200_with_the_error_inside(front: Site) -> None:
    answer = await run(front, given={"fail": True})
    assert answer.status_code == 200
    assert answer.json()["__error__"]["error"] == "ValueError"


async def test_keep_alive_newlines_reach_the_caller(front: Site) -> None:
    front.email.behave = "slow"
    answer = await run(front)
    assert answer.content.startswith(b"\n")
    assert answer.json() == {"x": 2}


async def test_stream_passes_events_as_they_come(front: Site) -> None:
    front.email.behave = "slow"
    async with front.http.stream(
        "POST", "/runs/stream", json={"assistant_id": "probe_email", "input": {"x": 1}}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = [chunk async for chunk in answer.aiter_raw()]
    text = b"".join(chunks)
    assert text.startswith(b"event: metadata\r\n")
    assert b": heartbeat\r\n\r\n" in text
    assert len(chunks) > 1


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"assistant_id": "probe_email", "input": {"x": "one"}}, 422, "/input/x"),
        ({"assistant_id": "probe_email", "input": [1]}, 422, "/input"),
        ({"assistant_id": 7, "input": {}}, 422, "/assistant_id"),
        ({"input": {}}, 422, "/assistant_id"),
    ],
)
async def test_input_out_of_shape_never_reaches_a_pool(
    front: Site, body: object, status: int, where: str
) -> None:
    answer = await front.http.post("/runs/wait", json=body)
    assert answer.status_code == status
    assert answer.json()["pointer"] == where
    assert answer.json()["kind"] == "client"
    assert not front.email.seen


async def test_an_unknown_assistant_gets_near_misses(front: Site) -> None:
    answer = await run(front, "probe_emial")
    assert answer.status_code == 404
    assert answer.json()["near_misses"][0] == "probe_email"
    assert not front.core.seen


async def test_a_disabled_assistant_is_403_with_the_reason(front: Site) -> None:
    front.publish(version=2, graphs={"probe_email": graph("EMAIL", enabled=False, reason="under repair")})
    answer = await run(front)
    assert answer.status_code == 403
    assert "under repair" in answer.json()["detail"]


async def test_a_fifth_pool_takes_calls_once_published(front: Site) -> None:
    from tests.dispatcher.conftest import route
    from tests.dispatcher.upstream import Upstream, serving

    async with serving(Upstream()) as fifth:
        front.publish(
            version=2,
            graphs={"probe_five": graph("FIVE")},
            extra_routes=[route("FIVE", [fifth.url], ["probe_five"])],
        )
        answer = await run(front, "probe_five")
        assert answer.headers["x-agentic-pool"] == "FIVE"
        assert answer.headers["x-agentic-routing-version"] == "2"


async def test_records_wait_on_disk_without_a_database(front: Site) -> None:
    answer = await run(front, headers={"traceparent": TRACEPARENT, "langsmith-trace": DOTTED})
    await until(lambda: front.dispatcher.recorder.spooled)
    [path] = (front.data_dir / "spool").glob("*.json")
    [row] = json.loads(path.read_text())
    assert row["run_id"] == answer.headers["x-langsmith-run-id"]
    assert row["ls_parent_run_id"] == "01234567-89ab-7cde-8f01-23456789abce"
    assert row["w3c_trace_id"] == "ab" * 16
    assert row["status"] == 200
    assert row["executed_graph_digest"] == "d" * 64
    assert row["decided_graph_digest"] == "a" * 64
    assert (await front.http.get("/ok")).json()["records"]["spooled"] == 1
