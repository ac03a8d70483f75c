"""An unmodified langgraph_sdk client, through the dispatcher, to a real worker process."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from tests.dispatcher.conftest import KEY, SECRETS, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.dispatcher.conftest import Site

pytestmark = pytest.mark.processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def email_pool() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The EMAIL pool as `make up` starts it."""
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-m", "fleet.worker", "--pool", "EMAIL", "--port", str(port)],
        env={**os.environ, **SECRETS},
    )
    try:
        yield f"http://127.0.0.1:{port}", child
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    with email_pool() as (url, _):
        yield url


async def answering(url: str) -> None:
    """Return when the worker at `url` answers."""

    async def answers() -> bool:
        async with httpx.AsyncClient() as http:
            try:
                return (await http.get(f"{url}/ok")).status_code == 200
            except httpx.TransportError:
                return False

    deadline = asyncio.get_running_loop().time() + 30
    while not await answers():
        assert asyncio.get_running_loop().time() < deadline, "the worker never answered"
        await asyncio.sleep(0.05)


async def running(url: str) -> None:
    """Return when a run is under way in the worker at `url`."""
    secret = {"authorization": f"Bearer {SECRETS['EMAIL_WORKER_SECRET']}"}
    async with asyncio.timeout(30), httpx.AsyncClient(headers=secret) as http:
        while not (await http.get(f"{url}/_ml/health")).json()["runs"]["unfinished"]:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


@pytest.fixture
async def client(front: Site, worker: str) -> AsyncIterator[Any]:
    await answering(worker)
    front.publish(version=2, email_urls=[worker])
    made = get_client(url=front.url, api_key=KEY)
    yield made
    await made.aclose()


async def test_wait(client: Any) -> None:
    assert (await client.runs.wait(None, "probe_email", input={"x": 41}))["x"] == 42


async def test_stream(client: Any) -> None:
    events = [
        part
        async for part in client.runs.stream(
            None, "probe_email", input={"x": 1}, stream_mode=["values", "updates"]
        )
    ]
    assert events[0].event == "metadata"
    assert any(part.event == "values" and part.data.get("x") == 2 for part in events)


async def test_a_failing_graph(client: Any) -> None:
    with pytest.raises(Exception, match="ValueError"):
        await client.runs.wait(None, "probe_email", input={"fail": True})
    events = [part async for part in client.runs.stream(None, "probe_email", input={"fail": True})]
    assert events[-1].event == "error"
    assert events[-1].data["error"] == "ValueError"


async def test_errors_are_the_sdks_own(client: Any) -> None:
    with pytest.raises((NotFoundError, httpx.HTTPStatusError), match="404"):
        await client.runs.wait(None, "probe_emial", input={})
    with pytest.raises((UnprocessableEntityError, httpx.HTTPStatusError), match="422"):
        await client.runs.wait(None, "probe_email", input={"x": "no"})


async def test_assistants(client: Any) -> None:
    found = await client.assistants.search()
    assert {item["graph_id"] for item in found} == {"probe_core", "probe_email"}
    assert (await client.assistants.get(found[0]["assistant_id"]))["graph_id"] == found[0]["graph_id"]


async def test_ids_are_one(front: Site, client: Any) -> None:
    """The run id of Content-Location, the header of ours, and the record are one; the worker attests what it ran."""
    answer = await front.http.post("/runs/wait", json={"assistant_id": "probe_email", "input": {"x": 1}})
    run_id = answer.headers["x-langsmith-run-id"]
    assert answer.headers["content-location"].endswith(run_id)
    assert len(answer.headers["x-agentic-graph-digest"]) == 64


async def test_a_killed_worker_is_an_error_inside_200_then_503(front: Site) -> None:
    body = {"assistant_id": "probe_email", "input": {"sleep": 30}}
    with email_pool() as (url, process):
        await answering(url)
        front.publish(version=2, email_urls=[url])
        waiting = asyncio.create_task(front.http.post("/runs/wait", json=body))
        await running(url)
        process.kill()
        answer = await waiting
        process.wait()
    assert answer.status_code == 200
    assert answer.json()["__error__"]["kind"] == "backend"
    replica = front.dispatcher.pools.pools["EMAIL"].replicas[0]
    await until(lambda: replica.active == 0)
    gone = await front.http.post("/runs/wait", json=body)
    assert gone.status_code == 503
    assert gone.headers["retry-after"]
