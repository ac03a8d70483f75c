"""The LangGraph REST contract, as the unmodified SDK sees it: one suite, two servers."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

if TYPE_CHECKING:
    from tests.worker.conftest import Server

PROBE = "probe_email"
PROBE_UUID = str(uuid.uuid5(uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8"), PROBE))


def sdk(server: Server) -> Any:
    """The SDK's answers are unions; what a test expects of them it asserts."""
    return server.client()


async def events_of(stream: Any) -> list[tuple[str, Any]]:
    return [(part.event, part.data) async for part in stream]


async def test_wait_returns_the_output(server: Server) -> None:
    assert await sdk(server).runs.wait(None, PROBE, input={"x": 1}) == {"x": 2, "pool": "EMAIL"}


async def test_an_assistant_is_found_by_its_uuid(server: Server) -> None:
    assert (await sdk(server).runs.wait(None, PROBE_UUID, input={"x": 4}))["x"] == 5


async def test_a_failed_graph_answers_200_with_its_error(server: Server) -> None:
    answer = server.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"fail": True}})
    assert answer.status_code == 200
    error = answer.json()["__error__"]
    assert error["error"] == "ValueError"
    assert "fail" in error["message"]


async def test_run_headers_name_the_run(server: Server) -> None:
    wait = server.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}})
    thread, run = wait.headers["content-location"].removeprefix("/threads/").split("/runs/")
    assert uuid.UUID(thread)
    assert uuid.UUID(run).version == 7
    assert wait.headers["location"] == wait.headers["content-location"] + "/join"
    stream = server.http().post("/runs/stream", json={"assistant_id": PROBE, "input": {"x": 1}})
    assert stream.headers["location"] == stream.headers["content-location"] + "/stream"
    assert stream.headers["content-location"].startswith("/runs/")
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store"


async def test_sse_bytes(server: Server) -> None:
    raw = server.http().post(
        "/runs/stream", json={"assistant_id": PROBE, "input": {"x": 1}, "stream_mode": ["values", "updates"]}
    )
    run_id = raw.headers["content-location"].removeprefix("/runs/")
    assert raw.text.startswith(f'event: metadata\r\ndata: {{"run_id":"{run_id}","attempt":1}}\r\n\r\n')
    assert 'event: values\r\ndata: {"x":2,"pool":"EMAIL"}\r\n\r\n' in raw.text
    assert 'event: updates\r\ndata: {"probe":{"x":2,"pool":"EMAIL"}}\r\n\r\n' in raw.text


@pytest.mark.parametrize(
    "mode",
    ["values", "updates", "debug", "tasks", "checkpoints", "custom", "messages", "messages-tuple", "events"],
)
async def test_every_stream_mode_ends_without_error(server: Server, mode: str) -> None:
    stream = sdk(server).runs.stream(None, "talking", input={"messages": ["hello"]}, stream_mode=[mode])
    names = [name for name, _ in await events_of(stream)]
    assert names[0] == "metadata"
    assert "error" not in names
    expected = {
        "messages": "messages/partial",
        "messages-tuple": "messages",
        "custom": "metadata",
        "checkpoints": "metadata",
    }
    assert expected.get(mode, mode) in names


async def test_a_failing_stream_ends_with_an_error_event(server: Server) -> None:
    stream = sdk(server).runs.stream(None, PROBE, input={"fail": True})
    name, data = (await events_of(stream))[-1]
    assert name == "error"
    assert data["error"] == "ValueError"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"assistant_id": str(uuid.uuid4()), "input": {}}, 404),
        ({"input": {}}, 422),
        ({"assistant_id": PROBE, "input": {}, "stream_mode": "no such"}, 422),
        (
            {"assistant_id": PROBE, "input": {}, "config": {"configurable": {"a": 1}}, "context": {"b": 1}},
            400,
        ),
        ({"assistant_id": PROBE, "command": {"resume": 1}}, 400),
        ([], 422),
    ],
)
async def test_bad_run_requests(server: Server, body: Any, status: int) -> None:
    answer = server.http().post("/runs/wait", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_an_unknown_name_is_refused(server: Server) -> None:
    """A server knows its own graphs (422 lists them); the dispatcher knows the fleet (404 with near misses)."""
    answer = server.http().post("/runs/wait", json={"assistant_id": "probe_emial", "input": {}})
    assert answer.status_code == server.unknown_name
    assert PROBE in answer.json()["detail"]


async def test_bad_json_is_422(server: Server) -> None:
    headers = {"content-type": "application/json"}
    assert server.http().post("/runs/wait", content=b'{"assistant_id"', headers=headers).status_code == 422


async def test_wrong_method_is_405(server: Server) -> None:
    assert server.http().put("/runs/wait").status_code == 405


async def test_a_thread_keeps_state_and_history(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create(metadata={"who": "me"}))["thread_id"]
    assert (await client.runs.wait(thread, PROBE, input={"x": 1}))["x"] == 2
    assert (await client.runs.wait(thread, PROBE, input={"x": 10}))["x"] == 11
    state = await client.threads.get_state(thread)
    assert state["values"]["x"] == 11
    assert list(state["next"]) == []
    assert state["checkpoint"]["thread_id"] == thread
    history = await client.threads.get_history(thread, limit=50)
    assert history[0]["values"]["x"] == 11
    assert 2 in [item["values"].get("x") for item in history]
    found = await client.threads.get(thread)
    assert found["status"] == "idle"
    assert found["values"]["x"] == 11
    assert found["metadata"]["who"] == "me"
    assert found["metadata"]["graph_id"] == PROBE
    assert [
        item["thread_id"] for item in await client.threads.search(metadata={"who": "me"}, ids=[thread])
    ] == [thread]


async def test_threads_are_created_once(server: Server) -> None:
    client: Any = server.client()
    thread = str(uuid.uuid4())
    await client.threads.create(thread_id=thread)
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=thread)
    assert (await client.threads.create(thread_id=thread, if_exists="do_nothing"))["thread_id"] == thread
    assert (await client.threads.update(thread, metadata={"a": 1}))["metadata"]["a"] == 1
    await client.threads.delete(thread)
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)


async def test_a_run_needs_its_thread(server: Server) -> None:
    client: Any = server.client()
    thread = str(uuid.uuid4())
    missing = server.http().post(
        f"/threads/{thread}/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}}
    )
    assert missing.status_code == 404
    assert missing.json()["detail"] == "Thread or assistant not found."
    made = await client.runs.wait(thread, PROBE, input={"x": 1}, if_not_exists="create")
    assert made["x"] == 2


async def test_interrupt_and_resume(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    asked = await client.runs.wait(thread, "asking", input={"x": 3})
    assert asked["__interrupt__"][0]["value"] == {"question": "is 3 right?"}
    assert (await client.threads.get(thread))["status"] == "interrupted"
    assert list((await client.threads.get_state(thread))["next"]) == ["ask"]
    assert (await client.runs.wait(thread, "asking", command={"resume": "yes"}))["answer"] == "yes"
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_stream_shows_its_interrupt(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    events = await events_of(client.runs.stream(thread, "asking", input={"x": 3}, stream_mode="values"))
    assert events[-1][1]["__interrupt__"][0]["value"] == {"question": "is 3 right?"}


async def test_update_state(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, PROBE, input={"x": 1})
    updated = await client.threads.update_state(thread, {"x": 40})
    assert updated["checkpoint"]["checkpoint_id"]
    assert (await client.threads.get_state(thread))["values"]["x"] == 40


async def test_copy_a_thread(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, PROBE, input={"x": 1})
    copy: Any = await client.threads.copy(
        thread
    )  # the SDK's type says None; both servers answer with the new thread
    assert copy["thread_id"] != thread
    found = await client.threads.search(metadata={"graph_id": PROBE}, limit=100)
    assert {thread, copy["thread_id"]} <= {item["thread_id"] for item in found}
    state = await client.threads.get_state(copy["thread_id"])
    assert state["values"]["x"] == 2


async def test_a_background_run_is_joined_and_listed(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"x": 1, "sleep": 0.2}, metadata={"job": "1"})
    assert run["status"] == "pending"
    assert (await client.runs.join(thread, run["run_id"]))["x"] == 2
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"
    listed = await client.runs.list(thread)
    assert [item["run_id"] for item in listed] == [run["run_id"]]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_failed_run_marks_its_thread(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, PROBE, input={"fail": True}, raise_error=False)
    found = await client.threads.get(thread)
    assert found["status"] == "error"
    assert (await client.runs.list(thread))[0]["status"] == "error"
    assert (await client.runs.wait(thread, PROBE, input={"x": 1}))["x"] == 2
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_cancel_is_acknowledged(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"sleep": 60})
    await until_status(client, thread, run["run_id"], "running")
    await client.runs.cancel(thread, run["run_id"], wait=True)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    with pytest.raises(NotFoundError):
        await client.runs.cancel(thread, run["run_id"])
    assert (await client.runs.wait(thread, PROBE, input={"x": 1, "sleep": 0}))["x"] == 2


async def until_status(client: Any, thread: str, run: str, status: str) -> None:
    async with asyncio.timeout(20):
        while (await client.runs.get(thread, run))["status"] != status:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


async def test_a_busy_thread_rejects(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"sleep": 60})
    await until_status(client, thread, run["run_id"], "running")
    refused = server.http().post(
        f"/threads/{thread}/runs",
        json={"assistant_id": PROBE, "input": {"x": 1}, "multitask_strategy": "reject"},
    )
    assert refused.status_code == 409
    assert "already running" in refused.json()["detail"]
    await client.runs.cancel(thread, run["run_id"], wait=True)


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_new_run_displaces_the_old(server: Server, strategy: Any) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, PROBE, input={"x": 1})
    run = await client.runs.create(thread, PROBE, input={"x": 50, "sleep": 60})
    await until_status(client, thread, run["run_id"], "running")
    out = await client.runs.wait(thread, PROBE, input={"x": 7, "sleep": 0}, multitask_strategy=strategy)
    assert out["x"] == 8
    if strategy == "interrupt":
        assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    else:
        values = [item["values"].get("x") for item in await client.threads.get_history(thread, limit=50)]
        assert 50 not in values


async def test_runs_of_a_thread_keep_their_order(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    runs = [await client.runs.create(thread, "steps", input={"x": n, "sleep": 0.1}) for n in range(3)]
    last = await client.runs.join(thread, runs[-1]["run_id"])
    assert last["x"] == 2
    assert last["done"] == ["first", "second"] * 3


async def test_join_stream_hears_the_rest(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"x": 1, "sleep": 1.0}, stream_mode=["values"])
    await until_status(client, thread, run["run_id"], "running")
    events = await events_of(client.runs.join_stream(thread, run["run_id"]))
    assert ("values", {"x": 2, "pool": "EMAIL"}) in events


async def test_join_stream_of_a_run_that_waits_hears_all_of_it(server: Server) -> None:
    client: Any = server.client()
    thread = (await client.threads.create())["thread_id"]
    modes = ["values", "updates"]
    run = await client.runs.create(thread, PROBE, input={"x": 1}, stream_mode=modes, after_seconds=1)
    assert run["status"] == "pending"
    events = await events_of(client.runs.join_stream(thread, run["run_id"]))
    assert [name for name, _ in events] == ["metadata", "values", "updates", "values"]
    assert events[0][1]["run_id"] == run["run_id"]
    assert events[-1] == ("values", {"x": 2, "pool": "EMAIL"})


async def test_assistants(server: Server) -> None:
    client: Any = server.client()
    found = await client.assistants.search(graph_id=PROBE)
    assert [item["assistant_id"] for item in found] == [PROBE_UUID]
    assert (await client.assistants.get(PROBE_UUID))["graph_id"] == PROBE
    drawn = await client.assistants.get_graph(PROBE_UUID)
    assert "probe" in [node["id"] for node in drawn["nodes"]]
    schemas = await client.assistants.get_schemas(PROBE_UUID)
    assert set(schemas["input_schema"]["properties"]) >= {"x", "fail", "sleep"}
    assert await client.assistants.get_subgraphs(PROBE_UUID) == {}
    assert await client.assistants.count(graph_id=PROBE) == 1
    with pytest.raises(UnprocessableEntityError):
        await client.assistants.get(PROBE)
    with pytest.raises(NotFoundError):
        await client.assistants.get(str(uuid.uuid4()))


async def test_ids_that_are_no_uuids(server: Server) -> None:
    with pytest.raises(UnprocessableEntityError):
        await sdk(server).threads.get("not-a-uuid")


async def test_a_batch_of_stateless_runs(server: Server) -> None:
    rows = await sdk(server).runs.create_batch([{"assistant_id": PROBE, "input": {"x": n}} for n in range(3)])
    assert len({row["run_id"] for row in rows}) == 3


async def test_keep_alive_while_waiting(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.secret or "none"}) as http:
        body = {"assistant_id": PROBE, "input": {"x": 1, "sleep": 5.5}}
        async with http.stream("POST", "/runs/wait", json=body, timeout=20) as answer:
            text = "".join([part async for part in answer.aiter_text()])
    assert text.startswith("\n")
    assert text.strip() == '{"x":2,"pool":"EMAIL"}'
