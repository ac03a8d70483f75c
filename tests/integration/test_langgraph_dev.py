"""An unmodified `langgraph dev` on the generated fleet/langgraph.json, registered by its address as a pool like any other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator  # noqa: TC003 fixtures are read at run time
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_sync_client
from langsmith import Client, traceable, tracing_context
from langsmith.run_helpers import get_current_run_tree

from tests.integration.conftest import (
    KEY,
    REPOSITORY,
    Platform,
    answers,
    eventually,
    free_port,
    publish_pool,
    whole_tree,
)

pytestmark = pytest.mark.processes
POOL = "STUDIO"
GRAPH = "probe_discovery"


@pytest.fixture(scope="module")
def langgraph_dev(platform: Platform) -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("langgraph")), "dev", "--no-browser", "--no-reload"]
    command += [
        "--config",
        str(REPOSITORY / "fleet" / "langgraph.json"),
        "--port",
        str(port),
        "--n-jobs-per-worker",
        "4",
    ]
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_DISABLE_FILE_PERSISTENCE": "true",
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_ENDPOINT": f"{platform.url}/langsmith",
        "LANGSMITH_API_KEY": KEY,
        "LANGSMITH_PROJECT": "studio",
    }
    log = platform.data_dir.parent / "langgraph-dev.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:

        def ready() -> bool:
            assert server.poll() is None, log.read_text()[-4000:]
            return answers(f"http://127.0.0.1:{port}/ok")

        eventually(ready, within=120)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_it_is_a_pool_by_its_address_alone(platform: Platform, langgraph_dev: int) -> None:
    with platform.api() as api:
        before = api.get("/routing.json").raise_for_status().json()
    home = next(route for route in before["routes"] if route["prefix"] == "DISCOVERY")
    try:
        without = [name for name in home["assistants"] if name != GRAPH]
        with platform.api() as api:
            api.put("/api/routing/pools/DISCOVERY/allowlist", json={"assistants": without}).raise_for_status()
        publish_pool(platform, POOL, langgraph_dev, [GRAPH], secret=False)
        _takes_calls_within_a_second(platform)
        _serves_the_sdk(platform)
        _nests_under_its_caller(platform)
    finally:
        with platform.api() as api:
            undo = {"version": before["version"], "reason": "take langgraph dev off again"}
            api.post("/api/routing/rollback", json=undo).raise_for_status()


def _takes_calls_within_a_second(platform: Platform) -> None:
    """Measured from the answer of the publish to the decision, not to the end of the run."""
    published = time.monotonic()
    with platform.api() as api:
        missing = {
            "assistant_id": GRAPH,
            "input": {"x": 1},
            "stream_mode": "odd",
        }  # refused at once, by the pool
        eventually(
            lambda: api.post("/runs/wait", json=missing).headers.get("x-agentic-pool") == POOL, within=20
        )
    took = time.monotonic() - published
    assert took <= 1.0, f"the pool took its first call {took:.2f} s after it was published"


def _serves_the_sdk(platform: Platform) -> None:
    with get_sync_client(url=platform.url, api_key=KEY) as given:
        client: Any = given
        assert client.runs.wait(None, GRAPH, input={"x": 1}) == {"x": 2, "pool": "DISCOVERY"}
        events = list(client.runs.stream(None, GRAPH, input={"x": 1}, stream_mode="updates"))
        assert (events[0].event, events[-1].data["probe"]["x"]) == ("metadata", 2)
        failed = client.runs.wait(None, GRAPH, input={"fail": True}, raise_error=False)
        assert failed["__error__"]["error"] == "ValueError"
        thread = client.threads.create(metadata={"who": "studio"})["thread_id"]
        assert client.runs.wait(thread, GRAPH, input={"x": 6})["x"] == 7
        assert client.threads.get_state(thread)["values"]["x"] == 7
        assert client.threads.get(thread)["metadata"]["who"] == "studio"
        run = client.runs.create(thread, GRAPH, input={"x": 1})
        assert client.runs.join(thread, run["run_id"])["x"] == 2
        client.threads.delete(thread)


def _nests_under_its_caller(platform: Platform) -> None:
    tracer = Client(api_url=f"{platform.url}/langsmith", api_key=KEY)
    caller: dict[str, str] = {}

    @traceable(name="visitStudio", client=tracer)
    def visit() -> Any:
        tree = get_current_run_tree()
        assert tree is not None
        caller["run_id"] = str(tree.id)
        with get_sync_client(url=platform.url, api_key=KEY, headers=tree.to_headers()) as client:
            return client.runs.wait(None, GRAPH, input={"x": 1})

    with tracing_context(enabled=True, client=tracer, project_name="integration"):
        assert visit()["x"] == 2
    tracer.flush()
    tree = whole_tree(platform, caller["run_id"])
    nodes = {node["id"]: node for node in tree["nodes"]}
    assert [node["name"] for node in tree["nodes"] if node["parent_id"] is None] == ["visitStudio"]
    assert len(tree["trace_ids"]) == 1, "the run kept a trace of its own"
    pool = next(node for node in tree["nodes"] if node["kind"] == "pool")
    hop = nodes[pool["parent_id"]]
    assert (hop["kind"], hop["pool"], nodes[hop["parent_id"]]["name"]) == ("dispatcher", POOL, "visitStudio")
