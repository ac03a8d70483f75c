"""A pool that exports over OTLP into our own ingest: one trace under its caller, named by its graph, flushed at its end."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleet.sdk.tracing import otel_is_on
from tests.worker.conftest import start_worker
from traces_app.store import reader

from .conftest import INGEST_KEY, Server

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.processes


def test_a_pool_s_spans_nest_name_their_graph_and_outlive_sigterm(
    server: Server, cur: psycopg.Cursor[Any]
) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{server.url}/otlp",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={INGEST_KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # nothing leaves before the end of the process
    }
    trace_id, caller = uuid.uuid4().hex, "c" * 16
    headers = {"traceparent": f"00-{trace_id}-{caller}-01", "x-agentic-routing-version": "7"}
    with tempfile.TemporaryDirectory() as folder:
        worker = start_worker(Path(folder) / "log", **env)
        body = {"assistant_id": "probe_email", "input": {"x": 1}}
        good = worker.http().post("/runs/wait", json=body, headers=headers)
        bad = worker.http().post("/runs/wait", json={**body, "input": {"fail": True}}, headers=headers)
        worker.stop()  # SIGTERM
    assert "__error__" in bad.json()
    runs = reader.load_runs(cur, [str(uuid.UUID(trace_id))])
    roots = [r for r in runs if r.w3c_parent_id == caller]
    assert [(r.name, r.pool, r.routing_version, r.status) for r in roots] == [
        ("probe_email", "EMAIL", 7, "ok"),
        ("probe_email", "EMAIL", 7, "error"),
    ]
    assert {r.graph_digest for r in roots} == {good.headers["x-agentic-graph-digest"]}
    assert {r.assistant_id for r in runs} == {"probe_email"}
    children = [r for r in runs if r.parent_run_id == roots[0].run_id]
    assert children, "the nodes are spans below the graph's"
    payload = reader.load_payload(cur, roots[0].run_id)
    assert payload is not None
    assert payload.outputs["x"] == 2


@pytest.mark.parametrize(
    ("env", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1/otlp", "OTEL_SDK_DISABLED": "true"}, False),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1/otlp",
                "LANGSMITH_TRACING": "true",
                "LANGSMITH_ENDPOINT": "http://h:1/langsmith",
            },
            False,
        ),
    ],
)
def test_one_receiver_is_told_once(env: dict[str, str], on: bool) -> None:
    assert otel_is_on(env) is on
