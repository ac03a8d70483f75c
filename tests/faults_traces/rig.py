"""The processes faults are planted at: a running platform, workers to be killed, a proxy that loses headers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from langsmith import Client
from langsmith.run_trees import RunTree

from tests.integration.conftest import KEY, REPOSITORY, Platform, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PROJECT = "web-app"
#: Calls in flight at once.
WIDTH = 8


@dataclass
class Rig:
    """A platform and what the plants need of it."""

    platform: Platform
    http: httpx.Client
    tracer: Client
    #: Where the proxy listens, by the headers it loses.
    proxies: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> dict[str, str]:
        return dict(json.loads((self.platform.data_dir / "secrets.json").read_text()))

    @property
    def ports(self) -> dict[str, int]:
        return dict(json.loads((self.platform.data_dir / "ports.json").read_text()))

    def call(
        self, assistant: str, given: dict[str, Any], headers: dict[str, str], *, url: str = "", **options: Any
    ) -> httpx.Response:
        """One stateless run through the dispatcher, or whatever listens at `url`."""
        return self.http.post(
            f"{url or self.platform.url}/runs/wait",
            json={"assistant_id": assistant, "input": given},
            headers=headers,
            **options,
        )

    def caller(self, name: str = "sendFollowUp", **fields: Any) -> RunTree:
        """A traced caller whose run is not sent yet."""
        return RunTree(
            name=name, run_type="chain", inputs={}, project_name=PROJECT, ls_client=self.tracer, **fields
        )

    def each(self, act: Callable[[int], str], count: int) -> list[str]:
        """The traces of `count` acts, some of them at once."""
        with ThreadPoolExecutor(WIDTH) as pool:
            return list(pool.map(act, range(count)))

    def codes(self, any_id: str) -> set[str]:
        """What is found wrong with an action."""
        answer = self.http.get(f"{self.platform.url}/api/traces/{any_id}/tree")
        assert answer.status_code == 200, f"{any_id}: {answer.text}"
        return {one["code"] for node in answer.json()["nodes"] for one in node["findings"]}

    @contextmanager
    def rerouted(self, pool: str, **changes: Any) -> Iterator[None]:
        """Another address for a pool, published; rolled back at the end."""
        api = self.http
        version = api.get(f"{self.platform.url}/routing.json").raise_for_status().json()["version"]
        self._ok(api.patch(f"{self.platform.url}/api/routing/pools/{pool}", json=changes))
        body = {"reason": "plant a fault", "base_version": version}
        self._ok(api.post(f"{self.platform.url}/api/routing/publish", json=body))
        self._live(version + 1)
        try:
            yield
        finally:
            body = {"reason": "fault over", "version": version}
            self._ok(api.post(f"{self.platform.url}/api/routing/rollback", json=body))
            self._live(version + 2)

    def _live(self, version: int) -> None:
        """Wait until the dispatcher decides by this version."""

        def seen() -> bool:
            headers = self.call("probe_core", {"x": 1}, {}).headers
            return headers.get("x-agentic-routing-version") == str(version)

        eventually(seen, within=15)

    @staticmethod
    def _ok(answer: httpx.Response) -> None:
        assert answer.status_code < 300, answer.text

    @contextmanager
    def worker(
        self, pool: str, *, endpoint: str = "", secret_of: str = "", program: str = ""
    ) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """One more worker process of a pool: (address, process). It is ended at the end if it still runs."""
        port = free_port()
        env = {**os.environ, **self._traced(endpoint), "LOG_LEVEL": "ERROR"}
        env[f"{pool}_WORKER_SECRET"] = self.secrets[f"{secret_of or pool}_WORKER_SECRET"]
        what = ["-c", program] if program else ["-m", "fleet.worker"]
        command = [sys.executable, *what, "--pool", pool, "--port", str(port)]
        with started(command, env, REPOSITORY, f"http://127.0.0.1:{port}/ok") as process:
            yield f"http://127.0.0.1:{port}", process

    @contextmanager
    def agent_server(self, folder: Path) -> Iterator[str]:
        """An unmodified `langgraph dev` that serves a graph named as ours are."""
        (folder / "plain.py").write_text(_PLAIN_GRAPH)
        config = {"dependencies": ["."], "graphs": {"probe_discovery": "./plain.py:graph"}}
        (folder / "langgraph.json").write_text(json.dumps(config))
        port = free_port()
        env = {**os.environ, **self._traced(""), "LANGSMITH_LANGGRAPH_API_VARIANT": "local_dev"}
        tool = str(Path(sys.executable).parent / "langgraph")
        command = [tool, "dev", "--no-browser", "--no-reload", "--port", str(port)]
        with started(command, env, folder, f"http://127.0.0.1:{port}/ok"):
            yield f"http://127.0.0.1:{port}"

    def _traced(self, endpoint: str) -> dict[str, str]:
        return {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": endpoint or f"{self.platform.url}/langsmith",
            "LANGSMITH_API_KEY": self.secrets["INGEST_KEY"],
            "LANGSMITH_PROJECT": "agentic-sales",
        }


_PLAIN_GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict, total=False):
    x: int

def probe(state: State) -> State:
    return {"x": (state.get("x") or 0) + 1}

builder = StateGraph(State)
builder.add_node("probe", probe)
builder.add_edge(START, "probe")
builder.add_edge("probe", END)
graph = builder.compile()
"""


@contextmanager
def started(
    command: list[str], env: dict[str, str], folder: Path, ready: str
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def answers() -> bool:
        assert process.poll() is None, f"{command} ended with {process.returncode}"
        try:
            return httpx.get(ready, timeout=2).status_code < 500
        except httpx.TransportError:
            return False

    try:
        eventually(answers, within=60)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait(10)


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def losing_proxy(upstream: str, lost: Iterable[str]) -> Iterator[str]:
    """A forward to `upstream` that takes headers away, as an edge proxy with an allow list does."""
    left_out = {*lost, "host", "content-length", "connection"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            kept = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            answer = httpx.post(upstream + self.path, content=body, headers=kept, timeout=60)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers.get("content-type", "application/json"))
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def rig_on(platform: Platform) -> Iterator[Rig]:
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=200)
    with httpx.Client(headers=headers, timeout=60, limits=limits) as http:
        tracer = Client(api_url=f"{platform.url}/langsmith", api_key=KEY)
        try:
            yield Rig(platform, http, tracer)
        finally:
            tracer.flush()
            tracer.close()


def new_id() -> str:
    return str(uuid.uuid4())
