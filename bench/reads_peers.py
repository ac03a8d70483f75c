"""Phoenix and MLflow with rows like those of `reads_bench.py`, fewer than at its smaller size, and the same reads of them.

Each is loaded once over OTLP, as its users do, and kept in `.data/bench_peers`; SQLite, which both choose by default.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench import ingest_bench
from bench.load import ROOT, free_port, process, wait_ready
from bench.peers import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOME = ROOT / ".data" / "bench_peers"
POSTS = 100  # of ten traces of 15 spans: what Phoenix stores in two minutes
LARGE = 2_000
LOADED = "loaded.json"
_LIST = """query($id: ID!) { node(id: $id) { ... on Project { spans(first: 50, filterCondition: "parent_id is None",
  sort: {col: startTime, dir: desc}) { edges { node { id name statusCode startTime endTime latencyMs
  cumulativeTokenCountTotal } } } } } }"""
_TRACE = """query($id: ID!, $trace: ID!) { node(id: $id) { ... on Project { trace(traceId: $trace) {
  spans(first: 1000) { edges { node { id name parentId statusCode startTime endTime latencyMs input { value }
  output { value } } } } } } } }"""
_PROJECTS = "{ projects { edges { node { id name recordCount } } } }"
_MLFLOW_LIST = {
    "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
    "max_results": 50,
    "order_by": ["timestamp_ms DESC"],
}


class Peer:
    """One connection to a running peer."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-protobuf" if isinstance(body, bytes) else "application/json"
        given = {"content-type": kind, **(headers or {})}
        try:
            self.connection.request(method, path, raw, given)
            answer = self.connection.getresponse()
        except ConnectionError:  # it rested while another was asked, and the server closed it
            self.connection.close()
            self.connection.request(method, path, raw, given)
            answer = self.connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path}: {answer.status} {found[:500]!r}")
        return found

    def graphql(self, query: str, **variables: str) -> Any:
        found = json.loads(self.ask("POST", "/graphql", {"query": query, "variables": variables}))
        if found.get("errors"):
            raise SystemExit(f"phoenix: {found['errors'][0]['message']}")
        return found["data"]

    def project(self) -> dict[str, Any]:
        edges = self.graphql(_PROJECTS)["projects"]["edges"]
        return dict(next(edge["node"] for edge in edges if edge["node"]["name"] == "default"))


def bodies() -> Iterator[bytes]:
    """One large trace, then the agent traces of the bench of ingest."""
    rng = random.Random(2)
    yield one_trace(rng, LARGE)
    for _ in range(POSTS):
        yield ingest_bench.body(rng)


def one_trace(rng: random.Random, spans: int) -> bytes:
    """A trace of many spans: those of several small ones, made children of the first."""
    request = ExportTraceServiceRequest()
    held = request.resource_spans.add().scope_spans.add().spans
    trace = rng.randbytes(16)
    while len(held) < spans:
        part = ExportTraceServiceRequest.FromString(ingest_bench.body(rng))
        held.extend(part.resource_spans[0].scope_spans[0].spans)
    del held[spans:]
    for span in held:
        span.trace_id = trace
        span.parent_span_id = held[0].span_id if span.span_id != held[0].span_id else b""
    return request.SerializeToString()


def load(folder: Path, send: Callable[[bytes], object], stored: Callable[[], int]) -> dict[str, str]:
    """Send everything once and wait until it can be read; the ids of a large and a small trace."""
    known = folder / LOADED
    if not known.exists():
        ids = []
        sent = 0
        for body in bodies():
            send(body)
            spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
            sent += len(spans)
            ids.append(spans[0].trace_id.hex())
            while sent - stored() > 3_000:  # a peer that answers before it stores drops what it cannot hold
                time.sleep(0.5)
        while stored() < sent:
            time.sleep(0.5)
        known.write_text(json.dumps({"large": ids[0], "small": ids[-1]}))
    return dict(json.loads(known.read_text()))


@contextmanager
def phoenix() -> Iterator[dict[str, Callable[[], object]]]:
    folder = HOME / "phoenix"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    env = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_PORT": str(port),
        "PHOENIX_HOST": "127.0.0.1",
    }
    env |= {"PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"}
    env.pop("DATABASE_URL", None)
    with process(str(binaries("phoenix") / "phoenix"), "serve", env=env, quiet=True):
        wait_ready(port, "/healthz", 120)
        peer = Peer(port)
        ids = load(
            folder,
            lambda body: peer.ask("POST", "/v1/traces", body),
            lambda: int(peer.project()["recordCount"]) if (folder / "phoenix.db").exists() else 0,
        )
        project = peer.project()["id"]
        yield {
            "phoenix list at 17k": lambda: peer.graphql(_LIST, id=project),
            "phoenix trace of 15": lambda: peer.graphql(_TRACE, id=project, trace=ids["small"]),
            "phoenix first 1,000 of 2,000": lambda: peer.graphql(_TRACE, id=project, trace=ids["large"]),
        }


@contextmanager
def mlflow() -> Iterator[dict[str, Callable[[], object]]]:
    folder = HOME / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [str(binaries("mlflow") / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder)]
    path = os.pathsep.join([str(binaries("mlflow")), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with process(*command, *store, "--workers", "1", env=env, quiet=True):
        wait_ready(port, "/health", 120)
        peer = Peer(port)
        stored = [0]

        def send(body: bytes) -> None:
            peer.ask("POST", "/v1/traces", body, {"x-mlflow-experiment-id": "0"})
            stored[0] = 10**9  # it answers once it has stored

        ids = load(folder, send, lambda: stored[0])

        def opened(trace: str) -> Callable[[], object]:
            return lambda: peer.ask("GET", f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-{trace}")

        yield {
            "mlflow list at 17k": lambda: peer.ask("POST", "/api/3.0/mlflow/traces/search", _MLFLOW_LIST),
            "mlflow trace of 15": opened(ids["small"]),
            "mlflow trace of 2,000": opened(ids["large"]),
        }
