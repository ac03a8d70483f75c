"""Tracing: off means nothing is made; on means the pool's root run has the run's id and nests under its caller."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from platform_site.runner import GRACE_S
from tests.worker.conftest import SECRET, clean_env, start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OFF = """
import asyncio, sys, threading

from contract.registry import GRAPHS
from fleet.worker.app import build_app
from fleet.worker.config import WorkerConfig

async def call():
    app = build_app(WorkerConfig(pool="EMAIL", secret="s"), GRAPHS)
    async with app.router.lifespan_context(app):
        import httpx
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pool", headers={"x-api-key": "s"}) as http:
            answer = await http.post("/runs/wait", json={"assistant_id": "probe_email", "input": {"x": 1}})
            assert answer.json()["x"] == 2
        from langsmith import run_trees
        assert run_trees._CLIENT is None
        trace = sys.modules.get("opentelemetry.trace")
        assert trace is None or trace._TRACER_PROVIDER is None
        assert threading.active_count() == 1, threading.enumerate()

asyncio.run(call())
"""


def test_with_tracing_unset_no_client_and_no_thread_is_made() -> None:

    done = subprocess.run(
        [sys.executable, "-c", OFF], env=clean_env(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


BATCHES = {
    "use_multipart_endpoint": False,
    "size_limit": 100,
    "size_limit_bytes": 20_000_000,
    "scale_up_nthreads_limit": 1,
    "scale_up_qsize_trigger": 1000,
    "scale_down_nempty_trigger": 4,
}


class Receiver:
    """A LangSmith endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer({"version": "0.10.0", "batch_ingest_config": BATCHES})

            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self._answer({})

            do_PATCH = do_POST

            def _answer(self, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(202)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def posts(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = []
        for body in self.bodies:
            batch = json.loads(body)
            runs += batch.get("post", []) if "post" in batch else [batch]
        return runs


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_the_root_run_has_the_runs_id_and_nests_and_is_flushed_at_the_end(
    receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = f"http://127.0.0.1:{receiver.server.server_port}"
    tracing = {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": endpoint, "LANGSMITH_API_KEY": "k"}
    worker = start_worker(tmp_path / "log", **tracing)
    trace, parent = str(uuid.uuid4()), str(uuid.uuid4())
    order = f"20261122T161208700001Z{trace}.20261122T161208731002Z{parent}"
    headers = {
        "langsmith-trace": order,
        "baggage": "langsmith-project=ours,langsmith-metadata=" + "%7B%22tenant%22%3A%22acme%22%7D",
        "x-agentic-dispatch-id": "d-1",
        "x-agentic-routing-version": "7",
        "x-request-id": "r-1",
    }
    body = {"assistant_id": "probe_email", "input": {"x": 1}}
    nested = worker.http().post("/runs/wait", json=body, headers=headers)
    alone = worker.http().post("/runs/wait", json=body, headers={"langsmith-trace": "malformed"})
    worker.stop()
    posts = {run["id"]: run for run in receiver.posts()}
    root = posts[nested.headers["content-location"].rpartition("/")[2]]
    assert (root["trace_id"], root["parent_run_id"], root["session_name"]) == (trace, parent, "ours")
    metadata = root["extra"]["metadata"]
    assert metadata["langgraph.assistant_id"] == "probe_email"
    assert metadata["agentic.pool"] == "EMAIL"
    assert metadata["agentic.dispatch_id"] == "d-1"
    assert metadata["agentic.routing_version"] == "7"
    assert metadata["agentic.request_id"] == "r-1"
    assert metadata["agentic.graph_digest"] == nested.headers["x-agentic-graph-digest"]
    assert metadata["tenant"] == "acme"
    children = [run for run in posts.values() if run.get("parent_run_id") == root["id"]]
    assert children
    assert all(run["extra"]["metadata"]["langgraph.assistant_id"] == "probe_email" for run in children)
    lone = posts[alone.headers["content-location"].rpartition("/")[2]]
    assert lone["trace_id"] == lone["id"]
    assert SECRET not in json.dumps(list(posts.values()))


def test_a_worker_whose_traces_nobody_takes_stops_all_the_same(tmp_path: Path) -> None:
    """Sooner than the runner would kill it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracing = {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": endpoint, "LANGSMITH_API_KEY": "k"}
        worker = start_worker(tmp_path / "log", **tracing)
        body = {"assistant_id": "probe_email", "input": {"x": 1}}
        assert worker.http().post("/runs/wait", json=body).status_code == 200
        worker.process.terminate()
        assert worker.process.wait(GRACE_S) == -signal.SIGTERM
    worker.http().close()
