"""What is our worker's own: the secret, its report, limits, kills, and life without a database."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from starlette.requests import Request

from contract.graph_digest import digest_of
from contract.registry import GRAPHS
from fleet.worker import http as worker_http
from fleet.worker.errors import Refused
from fleet.worker.setup import set_up
from tests.worker.conftest import SECRET, Server, own_database, set_up_jobs, start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROBE = "probe_email"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker without a database, with tight limits."""
    limits = {"WORKER_MAX_CONCURRENT_RUNS": "2", "WORKER_MAX_WAITING_RUNS": "1"}
    limits |= {"WORKER_MAX_BODY_BYTES": "10000", "WORKER_RUN_TIMEOUT_S": "2"}
    server = start_worker(tmp_path_factory.mktemp("bare") / "log", **limits)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "path", ["/info", "/_ml/health", "/_ml/graphs", "/runs/wait", "/threads/x", "/no/such"]
)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}])
async def test_nothing_but_ok_answers_without_the_secret(
    bare: Server, path: str, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=bare.url) as client:
        assert (await client.get(path, headers=headers)).status_code == 401
        assert (await client.get("/ok")).json() == {"ok": True, "services": {}}


async def test_the_secret_may_come_as_bearer(bare: Server) -> None:
    async with httpx.AsyncClient(base_url=bare.url) as client:
        answer = await client.get("/_ml/graphs", headers={"authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 200


async def test_a_graph_that_does_not_compile_is_reported_and_stops_no_other(bare: Server) -> None:
    rows = {row["assistant_id"]: row for row in bare.http().get("/_ml/graphs").json()["graphs"]}
    assert rows["broken"]["ok"] is False
    assert "missing" in rows["broken"]["error"]
    assert rows[PROBE]["ok"] is True
    refused = bare.http().post("/runs/wait", json={"assistant_id": "broken", "input": {}})
    assert refused.status_code == 503
    assert bare.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}}).json()["x"] == 2


async def test_another_pools_graph_is_404(bare: Server) -> None:
    assert bare.http().post("/runs/wait", json={"assistant_id": "probe_core", "input": {}}).status_code == 404


async def test_it_attests_what_it_runs(bare: Server) -> None:
    spec = next(spec for spec in GRAPHS if spec.assistant_id == PROBE)
    answer = bare.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}})
    assert answer.headers["x-agentic-graph-digest"] == digest_of(spec)
    assert answer.headers["x-agentic-pool"] == "EMAIL"


async def test_sets_up_once_however_many_ask_at_once() -> None:
    """Each builds indexes concurrently, which waits for whatever the others are waiting in."""
    with own_database() as url:
        await asyncio.gather(*(set_up(url, ["EMAIL", "CORE"]) for _ in range(4)))
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'checkpoints'")
            assert {name for (name,) in found} == {"pool_core", "pool_email"}


async def test_threads_need_a_database(bare: Server) -> None:
    answer = bare.http().post("/threads", json={})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_body_over_the_cap_is_413(bare: Server) -> None:
    body = {"assistant_id": PROBE, "input": {"x": 1, "pad": "a" * 20_000}}
    assert bare.http().post("/runs/wait", json=body).status_code == 413


async def test_a_flood_of_headers_is_431(bare: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(bare.url.rpartition(":")[2]))
    writer.write(b"POST /runs/wait HTTP/1.1\r\nhost: x\r\nx-flood: " + b"y" * 300_000)
    async with asyncio.timeout(5):
        assert b" 431 " in await reader.readline()
    writer.close()
    assert bare.http().get("/ok").status_code == 200


async def test_a_body_that_never_ends_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_http, "_BODY_S", 0.05)
    told = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        return next(told, None) or await asyncio.Event().wait()

    with pytest.raises(Refused) as refused:
        await worker_http.read_body(Request({"type": "http", "headers": []}, receive), 100)
    assert refused.value.status == 408


async def test_a_run_over_its_time_is_a_timeout(bare: Server) -> None:
    answer = bare.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"sleep": 30}})
    assert answer.json()["__error__"]["kind"] == "timeout"


async def test_a_full_worker_answers_429(bare: Server) -> None:
    async with httpx.AsyncClient(base_url=bare.url, headers={"x-api-key": SECRET}, timeout=20) as client:
        calls = [
            client.post("/runs/wait", json={"assistant_id": PROBE, "input": {"sleep": 1}}) for _ in range(6)
        ]
        answers = await asyncio.gather(*calls)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 200, 429, 429, 429]
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


async def test_a_caller_that_leaves_ends_its_stateless_run(worker: Server) -> None:
    async with httpx.AsyncClient(base_url=worker.url, headers={"x-api-key": SECRET}) as client:
        body = {"assistant_id": PROBE, "input": {"sleep": 60}}
        async with client.stream("POST", "/runs/wait", json=body) as answer:
            assert answer.status_code == 200
        assert await eventually(lambda: unfinished(worker) == 0)


async def test_threads_keep_what_a_forgetful_graph_made(worker: Server) -> None:
    client: Any = worker.client()
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "forgetful", input={"x": 5})
    state = await client.threads.get_state(thread)
    assert (state["values"]["x"], state["next"]) == (5, [])
    assert len(await client.threads.get_history(thread)) == 1
    for path, body in (
        (f"/threads/{thread}/state", {"values": {"x": 1}}),
        (f"/threads/{thread}/runs/wait", {"assistant_id": "forgetful", "command": {"resume": 1}}),
    ):
        refused = worker.http().post(path, json=body)
        assert refused.status_code == 409
        assert "checkpoint" in refused.json()["detail"]


async def test_stateless_runs_write_no_checkpoint(worker: Server) -> None:
    with psycopg.connect(worker.database_url) as connection:
        count = "SELECT count(*) FROM pool_email.checkpoints"
        before = connection.execute(count).fetchone()
        worker.http().post("/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}})
        assert connection.execute(count).fetchone() == before


async def test_a_killed_workers_background_run_is_taken_up_from_its_checkpoint(
    pool_database: str, tmp_path: Path
) -> None:
    first = start_worker(tmp_path / "first", pool_database)
    client: Any = first.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "steps", input={"x": 1, "sleep": 4}, durability="sync")
    with psycopg.connect(pool_database, autocommit=True) as connection:
        written = "SELECT count(*) FROM pool_email.checkpoints WHERE thread_id = %s AND (metadata ->> 'step')::int >= 1"
        assert await eventually(lambda: connection.execute(written, (thread,)).fetchone() != (0,))
    first.stop(kill=True)
    second = start_worker(tmp_path / "second", pool_database)
    try:
        client = second.client()
        async with asyncio.timeout(60):
            values = await client.runs.join(thread, run["run_id"])
        assert values["done"] == ["first", "second"]
        assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"
        assert (await client.threads.get(thread))["status"] == "idle"
    finally:
        second.stop()


async def test_a_background_run_outlives_the_database_of_its_checkpoints(tmp_path: Path) -> None:
    with own_database() as url, contextlib.ExitStack() as stack:
        set_up_jobs(url)
        await set_up(url, ["EMAIL"])
        worker = start_worker(tmp_path / "log", url)
        stack.callback(worker.stop)
        database = stack.enter_context(psycopg.connect(url, autocommit=True))
        client: Any = worker.client()
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "steps", input={"x": 1, "sleep": 1})
        running = "SELECT 1 FROM pool_email.run WHERE status = 'running'"
        assert await eventually(lambda: database.execute(running).fetchone() is not None)
        database.execute("ALTER SCHEMA pool_email RENAME TO away")
        assert await eventually(
            lambda: (
                database.execute("SELECT 1 FROM procrastinate_jobs WHERE attempts > 0").fetchone() is not None
            )
        )
        database.execute("ALTER SCHEMA away RENAME TO pool_email")
        database.execute("UPDATE pool_email.run SET lease_until = now()")  # as ten seconds would
        async with asyncio.timeout(30):
            values = await client.runs.join(thread, run["run_id"])
        assert values["done"] == ["first", "second"]
        assert (await client.threads.get(thread))["status"] == "idle"


@pytest.mark.parametrize(
    ("change", "says"),
    [("graph_id = 'gone'", "Invalid assistant: 'gone'"), ("attempt = 20", "begun 20 times")],
)
async def test_a_background_run_that_cannot_be_run_again_leaves_no_busy_thread(
    worker: Server, change: str, says: str
) -> None:
    client: Any = worker.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"x": 1}, after_seconds=1)
    with psycopg.connect(worker.database_url, autocommit=True) as database:
        database.execute(f"UPDATE pool_email.run SET {change} WHERE run_id = %s", (run["run_id"],))
    async with asyncio.timeout(30):
        outcome = await client.runs.join(thread, run["run_id"])
    assert says in outcome["__error__"]["message"]
    assert (await client.threads.get(thread))["status"] == "error"


async def test_a_killed_workers_foreground_run_leaves_no_busy_thread(
    pool_database: str, tmp_path: Path
) -> None:
    first = start_worker(tmp_path / "first", pool_database)
    thread = str(uuid.uuid4())
    async with httpx.AsyncClient(base_url=first.url, headers={"x-api-key": SECRET}) as http:
        body = {"assistant_id": PROBE, "input": {"sleep": 60}, "if_not_exists": "create"}
        async with http.stream("POST", f"/threads/{thread}/runs/wait", json=body):
            first.stop(kill=True)
    second = start_worker(tmp_path / "second", pool_database)
    try:
        client: Any = second.client()
        async with asyncio.timeout(30):
            while (await client.threads.get(thread))["status"] == "busy":  # noqa: ASYNC110 - another process ends it
                await asyncio.sleep(0.1)
        assert (await client.threads.get(thread))["error"]["error"] == "WorkerLost"
        assert (await client.runs.wait(thread, PROBE, input={"x": 1}))["x"] == 2
    finally:
        second.stop()


async def test_a_stopped_worker_hands_its_background_run_over(pool_database: str, tmp_path: Path) -> None:
    first = start_worker(tmp_path / "first", pool_database)
    client: Any = first.client()
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, PROBE, input={"x": 1, "sleep": 5})
    async with asyncio.timeout(20):
        while (await client.runs.get(thread, run["run_id"]))["status"] != "running":  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    await asyncio.to_thread(first.stop)
    second = start_worker(tmp_path / "second", pool_database)
    try:
        async with asyncio.timeout(40):
            assert (await second.client().runs.join(thread, run["run_id"]))["x"] == 2
    finally:
        second.stop()


def unfinished(server: Server) -> int:
    return int(server.http().get("/_ml/health").json()["runs"]["unfinished"])


async def eventually(condition: Any, seconds: float = 20) -> bool:
    """Poll until the condition holds; False when it did not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_stateless_run_is_found_again_where_its_headers_say(worker: Server) -> None:
    http = worker.http()
    waited = http.post("/runs/wait", json={"assistant_id": PROBE, "input": {"x": 1}})
    for place in (waited.headers["location"], waited.headers["content-location"] + "/join"):
        assert http.get(place).json() == waited.json()
    assert http.get(waited.headers["content-location"]).json()["status"] == "success"
    body = {"assistant_id": PROBE, "input": {"x": 1}, "stream_resumable": True}
    streamed = http.post("/runs/stream", json=body)
    assert http.get(streamed.headers["location"]).text == streamed.text
    rest = http.get(streamed.headers["location"], headers={"last-event-id": "2"}).text
    assert rest
    assert streamed.text.endswith(rest)
    assert http.get(streamed.headers["content-location"]).json()["status"] == "success"
    assert (
        http.get(f"/threads/{uuid.uuid4()}/runs/{waited.headers['content-location'][-36:]}").status_code
        == 404
    )


async def test_a_background_run_without_a_thread_is_joined_however_short_it_was(worker: Server) -> None:
    async with httpx.AsyncClient(base_url=worker.url, headers={"x-api-key": SECRET}, timeout=30) as http:

        async def one(x: int) -> None:
            made = await http.post("/runs", json={"assistant_id": PROBE, "input": {"x": x}})
            run = made.json()
            joined = await http.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/join")
            assert joined.json() == {"x": x + 1, "pool": "EMAIL"}
            assert (await http.get(made.headers["content-location"])).json()["status"] == "success"

        await asyncio.gather(*map(one, range(8)))


async def test_what_runs_without_a_thread_left_goes_after_a_while(worker: Server) -> None:
    http = worker.http()
    run = http.post("/runs", json={"assistant_id": PROBE, "input": {"x": 1}}).json()
    assert http.get(f"/runs/{run['run_id']}/join").json()["x"] == 2
    with psycopg.connect(worker.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE pool_email.run SET updated_at = now() - interval '1 hour' WHERE run_id = %s",
            (run["run_id"],),
        )
        left = "SELECT count(*) FROM pool_email.thread WHERE thread_id = %s"
        assert await eventually(lambda: connection.execute(left, (run["thread_id"],)).fetchone() == (0,))
    assert http.get(f"/runs/{run['run_id']}").status_code == 404


async def test_a_run_deleted_while_it_is_awaited_is_told_so(worker: Server) -> None:
    http = worker.http()
    thread = http.post("/threads", json={}).json()["thread_id"]
    body = {"assistant_id": PROBE, "input": {"x": 1}, "after_seconds": 3600}
    run = http.post(f"/threads/{thread}/runs", json=body).json()
    async with (
        httpx.AsyncClient(base_url=worker.url, headers={"x-api-key": SECRET}, timeout=30) as follower,
        follower.stream("GET", f"/threads/{thread}/runs/{run['run_id']}/join") as answer,
    ):
        assert answer.status_code == 200
        with psycopg.connect(worker.database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM pool_email.run WHERE run_id = %s", (run["run_id"],))
        told = "".join([part async for part in answer.aiter_text()])
    assert "RunDeleted" in told
