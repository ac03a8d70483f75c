"""Threads over the fleet, by the unmodified SDK: what one LangGraph server cannot show, for it has one pool."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from tests.integration.conftest import KEY, Platform, eventually_async

pytestmark = pytest.mark.processes
POOLS = ("CORE", "EMAIL", "CLASSIFY", "DISCOVERY")
MODES = ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events"]
New = Callable[..., Awaitable[str]]


@pytest.fixture
async def client(platform: Platform, asking: None) -> AsyncIterator[Any]:
    async with get_client(url=platform.url, api_key=KEY) as made:
        yield made


@pytest.fixture
async def plain(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=platform.url, headers={"x-api-key": KEY}, timeout=30) as made:
        yield made


@pytest.fixture
async def new(client: Any) -> New:
    async def make(**facts: Any) -> str:
        return str((await client.threads.create(**facts))["thread_id"])

    return make


async def running(client: Any, thread: str, run: str) -> None:
    async def look() -> bool:
        return bool((await client.runs.get(thread, run))["status"] == "running")

    await eventually_async(look)


# ── the directory over the pools ──


async def test_threads_of_every_pool_are_found_in_one_search(client: Any, new: New) -> None:
    lead = uuid.uuid4().hex
    threads = {pool: await new(metadata={"lead": lead, "pool": pool}) for pool in POOLS}
    untouched = await new(metadata={"lead": lead})
    for pool, thread in threads.items():
        assert await client.runs.wait(thread, f"probe_{pool.lower()}", input={"x": 1}) == {
            "x": 2,
            "pool": pool,
        }
    await client.runs.wait(threads["EMAIL"], "probe_email", input={"fail": True}, raise_error=False)

    found = await client.threads.search(metadata={"lead": lead}, limit=50)
    assert {each["thread_id"] for each in found} == {*threads.values(), untouched}
    assert {each["metadata"].get("graph_id") for each in found} == {f"probe_{p.lower()}" for p in POOLS} | {
        None
    }
    assert await client.threads.count(metadata={"lead": lead}) == 5
    failed = await client.threads.search(metadata={"lead": lead}, status="error")
    assert [each["thread_id"] for each in failed] == [threads["EMAIL"]]
    assert failed[0]["error"]["error"] == "ValueError"
    assert await client.threads.count(metadata={"lead": lead}, status="idle") == 4
    page = await client.threads.search(metadata={"lead": lead}, limit=2, offset=4, sort_by="thread_id")
    assert len(page) == 1

    patched = await client.threads.update(threads["CORE"], metadata={"stage": "won"})
    assert (patched["metadata"]["stage"], patched["metadata"]["lead"]) == ("won", lead)
    assert [
        each["thread_id"] for each in await client.threads.search(metadata={"stage": "won", "lead": lead})
    ] == [threads["CORE"]]


async def test_a_copy_is_found_and_goes_its_own_way(client: Any, plain: httpx.AsyncClient, new: New) -> None:
    thread = await new(metadata={"who": "first"})
    await client.runs.wait(thread, "steps", input={"x": 1})
    copied = (await plain.post(f"/threads/{thread}/copy")).raise_for_status().json()["thread_id"]
    assert copied != thread
    await client.runs.wait(copied, "steps", input={"x": 9})
    assert (await client.threads.get_state(copied))["values"]["done"] == ["first", "second"] * 2
    assert (await client.threads.get_state(thread))["values"] == {"x": 1, "done": ["first", "second"]}
    both = await client.threads.search(ids=[thread, copied])
    assert {each["thread_id"] for each in both} == {thread, copied}
    empty = await new()
    twin = (await plain.post(f"/threads/{empty}/copy")).raise_for_status().json()["thread_id"]
    assert (await client.threads.get(twin))["status"] == "idle"


async def test_a_deleted_thread_is_gone_from_directory_and_pool(client: Any, new: New) -> None:
    thread = await new()
    run = await client.runs.create(thread, "probe_classify", input={"sleep": 60})
    await running(client, thread, run["run_id"])
    await client.threads.delete(thread)
    for look in (client.threads.get, client.threads.get_state, client.threads.get_history, client.runs.list):
        with pytest.raises(NotFoundError):
            await look(thread)
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    assert await client.threads.search(ids=[thread]) == []
    await client.threads.create(thread_id=thread)
    assert await client.runs.wait(thread, "probe_email", input={"x": 1}) == {"x": 2, "pool": "EMAIL"}


async def test_a_thread_stays_with_the_pool_of_its_first_run(
    client: Any, plain: httpx.AsyncClient, new: New
) -> None:
    thread = await new()
    await client.runs.wait(thread, "probe_email", input={"x": 1})
    run = {"assistant_id": "probe_core", "input": {"x": 1}}
    refused = await plain.post(f"/threads/{thread}/runs/wait", json=run)
    assert (refused.status_code, refused.json()["code"]) == (409, "OTHER_POOL")
    assert (await client.threads.get(thread))["values"]["x"] == 2


async def test_first_runs_at_once_all_find_their_thread(plain: httpx.AsyncClient, new: New) -> None:
    thread = await new()
    run = {"assistant_id": "probe_email", "input": {"x": 1}}
    answers = await asyncio.gather(*(plain.post(f"/threads/{thread}/runs/wait", json=run) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert [answer.json() for answer in answers] == [{"x": 2, "pool": "EMAIL"}] * 6


# ── state ──


async def test_state_is_read_written_and_replayed(client: Any, new: New) -> None:
    thread = await new()
    assert (await client.threads.get_state(thread))["values"] == {}
    assert await client.threads.get_history(thread) == []
    for x in (1, 5):
        await client.runs.wait(thread, "probe_discovery", input={"x": x})
    await client.threads.update_state(thread, {"x": 40}, as_node="probe")
    history = await client.threads.get_history(thread, limit=20)
    assert history[0]["values"]["x"] == 40
    old = next(each for each in history if each["values"].get("x") == 2)
    at = await client.threads.get_state(thread, checkpoint_id=old["checkpoint"]["checkpoint_id"])
    assert at["values"]["x"] == 2
    posted = await client.threads.get_state(thread, checkpoint=old["checkpoint"])
    assert posted["values"]["x"] == 2
    assert len(await client.threads.get_history(thread, limit=1)) == 1


async def test_state_can_be_given_before_the_first_run(client: Any, new: New) -> None:
    thread = await new(graph_id="probe_core")
    await client.threads.update_state(thread, {"x": 7})
    assert (await client.threads.get_state(thread))["values"]["x"] == 7
    with pytest.raises(ConflictError):
        await client.threads.update_state(await new(), {"x": 7})


async def test_a_thread_that_cannot_be_seeded_is_not_made(client: Any) -> None:
    thread = str(uuid.uuid4())
    step = [{"updates": [{"values": {"x": 1}, "as_node": "probe"}]}]
    with pytest.raises(UnprocessableEntityError):
        await client.threads.create(thread_id=thread, graph_id="probe_core", supersteps=step)
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)


async def test_an_interrupt_waits_across_calls_and_is_resumed(client: Any, new: New) -> None:
    thread = await new(metadata={"kind": "asking"})
    events = [(part.event, part.data) async for part in client.runs.stream(thread, "asking", input={"x": 3})]
    assert events[-1][1]["__interrupt__"][0]["value"] == {"question": "is 3 right?"}
    waiting = await client.threads.search(status="interrupted", ids=[thread])
    assert [next(iter(each["interrupts"].values()))[0]["value"] for each in waiting] == [
        {"question": "is 3 right?"}
    ]
    state = await client.threads.get_state(thread)
    assert state["tasks"][0]["interrupts"][0]["value"] == {"question": "is 3 right?"}
    resumed = [
        (part.event, part.data)
        async for part in client.runs.stream(
            thread, "asking", command={"resume": "yes"}, stream_mode="updates"
        )
    ]
    assert ("updates", {"ask": {"answer": "yes"}}) in resumed
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_run_halts_before_a_node_and_goes_on(client: Any, new: New) -> None:
    thread = await new()
    await client.runs.wait(thread, "steps", input={"x": 1}, interrupt_before=["second"])
    assert list((await client.threads.get_state(thread))["next"]) == ["second"]
    assert (await client.runs.wait(thread, "steps", input=None))["done"] == ["first", "second"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_thread_streams_in_every_mode(client: Any, new: New, mode: str) -> None:
    thread = await new()
    parts = [part async for part in client.runs.stream(
        thread, "talking", input={"messages": ["hello"]}, stream_mode=[mode], stream_subgraphs=True
    )]  # fmt: skip
    assert parts[0].event == "metadata"
    uuid.UUID(parts[0].data["run_id"])
    names = {part.event for part in parts}
    assert "error" not in names
    expected = {"messages-tuple": "messages", "custom": "metadata"}.get(mode, mode)
    assert expected in names


# ── a graph that keeps nothing, on a thread ──


async def test_a_forgetful_graph_keeps_its_last_values(
    client: Any, plain: httpx.AsyncClient, new: New
) -> None:
    thread = await new(metadata={"who": "me"})
    await client.runs.wait(thread, "forgetful", input={"x": 1})
    await client.runs.wait(thread, "forgetful", input={"x": 2})
    found = await client.threads.get(thread)
    assert (found["status"], found["metadata"]["who"], found["values"]["x"]) == ("idle", "me", 2)
    assert found["values"]["done"] == ["first", "second"]
    state = await client.threads.get_state(thread)
    assert (state["values"]["x"], list(state["next"])) == (2, [])
    assert [each["values"]["x"] for each in await client.threads.get_history(thread)] == [2]
    for path, body in (
        (f"/threads/{thread}/state", {"values": {"x": 3}}),
        (f"/threads/{thread}/runs/wait", {"assistant_id": "forgetful", "command": {"resume": 1}}),
    ):
        refused = await plain.post(path, json=body)
        assert refused.status_code == 409
        assert "keeps no checkpoints" in refused.json()["detail"]


async def test_a_sales_graph_runs_on_a_thread(client: Any, platform: Platform, new: New) -> None:
    thread = await new()
    company = {
        "company": {"name": "Brightwell Logistics"},
        "contact": {"name": "Lena"},
        "offer": {"product": "Docks"},
    }
    out = await client.runs.wait(thread, "email_compose", input=company)
    assert out["subject"] == (await client.threads.get_state(thread))["values"]["subject"]


# ── background runs, batches, cancelling ──


async def test_background_runs_are_followed_to_their_end(client: Any, new: New) -> None:
    thread = await new()
    run = await client.runs.create(
        thread, "probe_core", input={"x": 1, "sleep": 0.5}, stream_mode=["values"], stream_resumable=True
    )
    events = [(part.event, part.data) async for part in client.runs.join_stream(thread, run["run_id"])]
    assert ("values", {"x": 2, "pool": "CORE"}) in events
    assert await client.runs.join(thread, run["run_id"]) == {"x": 2, "pool": "CORE"}
    failing = await client.runs.create(thread, "probe_core", input={"fail": True})
    assert (await client.runs.join(thread, failing["run_id"]))["__error__"]["error"] == "ValueError"
    assert [each["status"] for each in await client.runs.list(thread)] == ["error", "success"]
    await client.runs.delete(thread, run["run_id"])
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])


async def test_a_batch_runs_in_every_pool_in_the_order_given(client: Any, plain: httpx.AsyncClient) -> None:
    payloads = [
        {"assistant_id": f"probe_{pool.lower()}", "input": {"x": n}} for n, pool in enumerate(POOLS * 2)
    ]
    for payload in payloads:
        payload["on_completion"] = "keep"
    runs = await client.runs.create_batch(payloads)
    uuids = {each["graph_id"]: each["assistant_id"] for each in await client.assistants.search(limit=100)}
    assert [run["assistant_id"] for run in runs] == [uuids[str(each["assistant_id"])] for each in payloads]
    for n, run in enumerate(runs):
        joined = await plain.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/join")
        assert joined.json() == {"x": n + 1, "pool": POOLS[n % 4]}


async def test_a_cancelled_run_is_acknowledged_and_frees_its_thread(client: Any, new: New) -> None:
    thread = await new()
    run = await client.runs.create(thread, "probe_email", input={"sleep": 60})
    await running(client, thread, run["run_id"])
    assert (await client.threads.search(status="busy", ids=[thread]))[0]["thread_id"] == thread
    await client.runs.cancel(thread, run["run_id"], wait=True)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    with pytest.raises(NotFoundError, match="No runs found to cancel"):
        await client.runs.cancel(thread, run["run_id"])
    assert (await client.runs.wait(thread, "probe_email", input={"x": 1}))["x"] == 2


async def test_a_rolled_back_run_leaves_nothing(client: Any, new: New) -> None:
    thread = await new()
    await client.runs.wait(thread, "probe_email", input={"x": 1})
    run = await client.runs.create(thread, "probe_email", input={"x": 50, "sleep": 60})
    await running(client, thread, run["run_id"])
    await client.runs.cancel(thread, run["run_id"], wait=True, action="rollback")
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    assert (await client.threads.get_state(thread))["values"]["x"] == 2


async def test_many_runs_are_cancelled_at_once(client: Any, new: New) -> None:
    thread = await new()
    runs = [await client.runs.create(thread, "probe_discovery", input={"sleep": 60}) for _ in range(3)]
    await running(client, thread, runs[0]["run_id"])
    await client.runs.cancel_many(thread_id=thread, run_ids=[runs[0]["run_id"], runs[2]["run_id"]])
    statuses = [(await client.runs.get(thread, run["run_id"]))["status"] for run in runs]
    assert (statuses[0], statuses[2]) == ("interrupted", "interrupted")
    assert statuses[1] in ("pending", "running")
    other = await new()
    elsewhere = await client.runs.create(other, "probe_classify", input={"sleep": 60})
    await running(client, other, elsewhere["run_id"])
    await client.runs.cancel_many(status="all")
    assert (await client.runs.get(other, elsewhere["run_id"]))["status"] == "interrupted"
    assert (await client.runs.get(thread, runs[1]["run_id"]))["status"] == "interrupted"
    with pytest.raises(NotFoundError):
        await client.runs.cancel_many(thread_id=thread, run_ids=[runs[0]["run_id"]])


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_a_second_run_on_a_busy_thread(
    client: Any, plain: httpx.AsyncClient, new: New, strategy: str
) -> None:
    thread = await new()
    first = await client.runs.create(
        thread, "probe_email", input={"x": 50, "sleep": 60 if strategy != "enqueue" else 1}
    )
    await running(client, thread, first["run_id"])
    second = {"assistant_id": "probe_email", "input": {"x": 7}, "multitask_strategy": strategy}
    answer = await plain.post(f"/threads/{thread}/runs/wait", json=second)
    if strategy == "reject":
        assert answer.status_code == 409
        assert "already running" in answer.json()["detail"]
        await client.runs.cancel(thread, first["run_id"], wait=True)
        return
    assert answer.json()["x"] == 8
    listed = {each["run_id"]: each["status"] for each in await client.runs.list(thread)}
    ended = {"enqueue": "success", "interrupt": "interrupted", "rollback": None}[strategy]
    assert listed.get(first["run_id"]) == ended


# ── statuses ──

THREAD = "7d0f3c1e-0000-4000-8000-00000000dead"  # nobody made these; fixed, so that every test process names them alike
RUN = "7d0f3c1e-0000-4000-8000-00000000beef"
PROBE = {"assistant_id": "probe_email", "input": {"x": 1}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/runs/wait", {"assistant_id": "probe_emial", "input": {}}, 404, "probe_email"),
        ("POST", "/runs/wait", {"assistant_id": RUN, "input": {}}, 404, RUN),
        ("POST", "/runs/wait", {"input": {}}, 422, "assistant_id"),
        ("POST", "/runs/wait", PROBE | {"input": {"x": "one"}}, 422, "/x"),
        ("POST", "/runs/stream", PROBE | {"stream_mode": "odd"}, 422, "stream_mode"),
        ("POST", "/runs/wait", PROBE | {"command": {"resume": 1}, "input": None}, 400, "thread_id"),
        ("GET", "/assistants/probe_email", None, 422, "UUID"),
        ("GET", f"/assistants/{RUN}", None, 404, "Not Found"),
        ("GET", "/threads/notuuid", None, 422, "UUID"),
        ("GET", f"/threads/{THREAD}", None, 404, f"Thread with ID {THREAD} not found"),
        ("GET", f"/threads/{THREAD}/state", None, 404, f"Thread with ID {THREAD} not found"),
        ("POST", f"/threads/{THREAD}/history", {}, 404, f"Thread with ID {THREAD} not found"),
        ("PATCH", f"/threads/{THREAD}", {"metadata": {}}, 404, f"Thread with ID {THREAD} not found"),
        ("DELETE", f"/threads/{THREAD}", None, 404, f"Thread with ID {THREAD} not found"),
        ("POST", f"/threads/{THREAD}/runs/wait", PROBE, 404, "Thread or assistant not found."),
        ("POST", f"/threads/{THREAD}/runs", PROBE, 404, "Thread or assistant not found."),
        ("GET", f"/threads/{THREAD}/runs/{RUN}", None, 404, "not found"),
        ("GET", f"/threads/{THREAD}/runs/{RUN}/join", None, 404, "not found"),
        ("POST", f"/threads/{THREAD}/runs/{RUN}/cancel", None, 404, "No runs found to cancel."),
        ("POST", "/runs/cancel", {"thread_id": THREAD, "run_ids": [RUN]}, 404, "No runs found to cancel."),
        ("POST", "/runs/wait", PROBE | {"webhook": "http://example.org"}, 422, "webhook"),
        ("POST", "/runs/crons", PROBE | {"schedule": "* * * * *"}, 404, "crons"),
        ("POST", f"/threads/{THREAD}/runs/crons", PROBE | {"schedule": "* * * * *"}, 404, "crons"),
        ("POST", "/threads/prune", {"thread_ids": [THREAD]}, 404, "pruning"),
        ("PUT", "/runs/wait", PROBE, 405, ""),
    ],
)  # fmt: skip
async def test_every_refusal_has_its_status_and_says_why(
    plain: httpx.AsyncClient, method: str, path: str, body: Any, status: int, says: str
) -> None:
    answer = await plain.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert answer.json()["kind"] == "client"


async def test_a_pool_that_refuses_its_part_of_a_batch_says_why(plain: httpx.AsyncClient) -> None:
    runs = [PROBE, {"assistant_id": "probe_core", "input": {}, "stream_mode": "odd"}]
    started, refused = (await plain.post("/runs/batch", json=runs)).json()
    assert started["status"] == "pending"
    assert (refused["run_id"], refused["status"], refused["error"]["kind"]) == (None, "error", "client")
    assert "stream_mode" in refused["error"]["message"]
    joined = await plain.get(f"/threads/{started['thread_id']}/runs/{started['run_id']}/join")
    assert joined.json() == {"x": 2, "pool": "EMAIL"}
