"""The unmodified OpenTelemetry exporter, protobuf and JSON, and the LangSmith SDK's OTLP copies."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from traces_app.store import reader

from .conftest import INGEST_KEY, Server

if TYPE_CHECKING:
    import httpx
    import psycopg

pytestmark = pytest.mark.processes


def export(server: Server) -> str:
    """Send an agent trace with an llm span and a failing tool; returns the W3C trace id."""
    exporter = OTLPSpanExporter(
        endpoint=f"{server.url}/otlp/v1/traces",
        headers={"x-api-key": INGEST_KEY},
        compression=Compression.Gzip,
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "agent"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span(
        "agent", attributes={"langgraph.assistant_id": "email_compose"}
    ) as root:
        chat: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.prompt": '{"messages": ["hi"]}',
            "gen_ai.completion": '{"text": "ho"}',
        }
        with tracer.start_as_current_span("chat", attributes=chat):
            pass
        with (
            pytest.raises(KeyError),
            tracer.start_as_current_span(
                "search", attributes={"openinference.span.kind": "TOOL", "input.value": "x"}
            ),
        ):
            raise KeyError("nothing there")
    provider.shutdown()
    return f"{root.get_span_context().trace_id:032x}"


def test_the_exporter_s_spans_become_runs(server: Server, cur: psycopg.Cursor[Any]) -> None:
    w3c = export(server)
    (trace_id,) = reader.traces_of(cur, [w3c])
    assert trace_id == str(uuid.UUID(w3c))
    runs = {r.name: r for r in reader.load_runs(cur, [trace_id])}
    agent, chat, search = runs["agent"], runs["chat"], runs["search"]
    assert (agent.source, agent.assistant_id, agent.w3c_trace_id) == ("otlp", "email_compose", w3c)
    assert chat.parent_run_id == search.parent_run_id == agent.run_id
    assert chat.w3c_parent_id == agent.w3c_span_id
    assert (chat.run_type, chat.model, chat.provider, chat.total_tokens) == (
        "llm",
        "gpt-4o-mini",
        "openai",
        1100,
    )
    assert (search.run_type, search.status) == ("tool", "error")
    assert "nothing there" in (search.error or "")
    payload = reader.load_payload(cur, chat.run_id)
    assert payload is not None
    assert (payload.inputs, payload.outputs) == ({"messages": ["hi"]}, {"text": "ho"})


def json_body(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def json_span(**given: Any) -> dict[str, Any]:
    return {
        "traceId": uuid.uuid4().hex,
        "spanId": uuid.uuid4().hex[:16],
        "name": "s",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "attributes": [{"key": "n", "value": {"intValue": "3"}}],
        **given,
    }


def test_json_with_one_bad_span_is_a_partial_success(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    good, bad = json_span(), json_span(traceId="00" * 16)
    body = zstandard.ZstdCompressor().compress(json_body(good, bad))
    headers = {"content-type": "application/json", "content-encoding": "zstd"}
    answer = http.post("/otlp/v1/traces", content=body, headers=headers)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "trace_id" in partial["errorMessage"]
    (run,) = reader.load_runs(cur, [str(uuid.UUID(good["traceId"]))])
    assert (run.name, run.metadata) == ("s", {"n": 3})
    cur.execute("SELECT door, reason FROM traces_app_quarantine")
    assert [door for door, _ in cur.fetchall()] == ["otlp"]


def test_what_comes_again_in_the_other_form_is_the_same_and_a_trace_is_packed_as_one(
    http: httpx.Client, cur: psycopg.Cursor[Any]
) -> None:
    traces = [uuid.uuid4().hex for _ in range(2)]
    spans = [json_span(traceId=trace, name=f"s{n}") for n in range(2) for trace in traces]
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for two in (spans[:2], spans[2:]):  # each scope has a span of each trace
        scope = group.scope_spans.add()
        for s in two:
            span = scope.spans.add(trace_id=bytes.fromhex(s["traceId"]), span_id=bytes.fromhex(s["spanId"]))
            span.name = s["name"]
            span.start_time_unix_nano = int(s["startTimeUnixNano"])
            span.end_time_unix_nano = int(s["endTimeUnixNano"])
            span.attributes.add(key="n").value.int_value = 3
    for content_type, body in {
        "application/x-protobuf": request.SerializeToString(),
        "application/json": json_body(*spans),
    }.items():
        answer = http.post("/otlp/v1/traces", content=body, headers={"content-type": content_type})
        assert answer.status_code == 200
    cur.execute("SELECT count(*) FROM traces_app_runpart WHERE trace_id = ANY(%s::uuid[])", (traces,))
    assert cur.fetchone() == (4,)
    cur.execute("SELECT count(*) FROM traces_app_chunk WHERE trace_id = ANY(%s::uuid[])", (traces,))
    assert cur.fetchone() == (2,)


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05abc", gzip.compress(b"x", mtime=0)])
def test_damage_is_400_and_never_500(http: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/x-protobuf"}
    if body[:2] == b"\x1f\x8b":
        headers["content-encoding"] = "gzip"
    assert http.post("/otlp/v1/traces", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"resourceSpans": 5}, "resourceSpans: Expected `array | null`, got `int`"),
        ([], "body: Expected `object`, got `array`"),
        ("[" * 5000, "body: "),
        (
            {"resourceSpans": [{"scopeSpans": [{"spans": 5}]}]},
            "resourceSpans[0].scopeSpans[0].spans: Expected",
        ),
        (
            {"resourceSpans": [{"resource": {"attributes": [{"key": 5}]}}]},
            "resourceSpans[0].resource.attributes",
        ),
    ],
)
def test_json_of_another_shape_is_400_and_names_the_field(
    http: httpx.Client, body: object, detail: str
) -> None:
    answer = http.post("/otlp/v1/traces", json=body)
    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (400, detail)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"traceId": 5}, "traceId: Expected `str | null`, got `int`"),
        ({"traceId": "xy"}, "traceId: must be hexadecimal"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano: must be a whole number"),
        ({"endTimeUnixNano": "32472144001000000000"}, "endTimeUnixNano: must be a number of 64 bits"),
        ({"startTimeUnixNano": "-1"}, "startTimeUnixNano: must not be before 1970"),
        ({"status": "bad"}, "status: Expected `object | null`, got `str`"),
        (
            {"attributes": [{"key": "k", "value": 7}]},
            "attributes[0].value: Expected `object | null`, got `int`",
        ),
        ({"attributes": [{"key": "k", "value": {"intValue": "x"}}]}, "k.intValue: must be a whole number"),
        ({"attributes": [{"key": "k", "value": {"doubleValue": "x"}}]}, "k.doubleValue: must be a number"),
        ({"links": [7]}, "links[0]: Expected `object`, got `int`"),
    ],
)
def test_a_json_span_of_another_shape_costs_itself_alone(
    http: httpx.Client, cur: psycopg.Cursor[Any], wrong: dict[str, Any], reason: str
) -> None:
    good = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "good"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [good | wrong, good]}]}]}
    answer = http.post("/otlp/v1/traces", json=body).json()
    assert answer == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": reason}}
    cur.execute("SELECT name FROM traces_app_runpart")
    assert cur.fetchall() == [("good",)]
    cur.execute("SELECT reason, excerpt LIKE '%good%' FROM traces_app_quarantine")
    assert cur.fetchall() == [(reason, True)]


def test_an_empty_request_is_answered_in_its_own_type(http: httpx.Client) -> None:
    headers = {"content-type": "application/x-protobuf"}
    body = ExportTraceServiceRequest().SerializeToString()
    answer = http.post("/otlp/v1/traces", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")


HYBRID = """
from langsmith import Client, traceable, tracing_context
client = Client()
@traceable(run_type="llm")
def inner(x): return {"usage_metadata": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}
@traceable
def outer(x): return inner(x)
with tracing_context(enabled=True, client=client, project_name="hybrid"):
    outer(1)
client.flush()
from opentelemetry import trace
provider = trace.get_tracer_provider()
getattr(provider, "force_flush", lambda: None)()
"""


@pytest.mark.parametrize(("only", "sources"), [("false", {"langsmith"}), ("true", {"otlp"})])
def test_a_client_that_sends_both_forms_is_counted_once(
    server: Server, cur: psycopg.Cursor[Any], only: str, sources: set[str]
) -> None:
    env = {
        **os.environ,
        "LANGSMITH_ENDPOINT": server.langsmith,
        "LANGSMITH_API_KEY": INGEST_KEY,
        "LANGSMITH_PROJECT": "hybrid",
        "LANGSMITH_OTEL_ENABLED": "true",
        "LANGSMITH_OTEL_ONLY": only,
    }
    subprocess.run([sys.executable, "-c", HYBRID], env=env, check=True, timeout=60)
    cur.execute("SELECT source, sum(runs), sum(total_tokens) FROM traces_app_tracehead GROUP BY 1")
    rows = cur.fetchall()
    assert {source for source, _, _ in rows} == sources
    assert [(runs, tokens) for _, runs, tokens in rows] == [(2, 2)]


LANGSMITH = [{"key": "langsmith.internal_provider", "value": {"boolValue": True}}]


@pytest.mark.parametrize("first", ["run", "copy"])
def test_a_copy_goes_whichever_form_came_first(
    http: httpx.Client, cur: psycopg.Cursor[Any], first: str
) -> None:
    trace, copy = str(uuid.uuid4()), uuid.uuid4().hex
    run = {"id": trace, "trace_id": trace, "name": "hybrid", "run_type": "chain", "session_name": "both"}
    run |= {"start_time": "2023-11-14T22:13:20.000123Z", "end_time": "2023-11-14T22:13:21Z"}
    root = json_span(traceId=copy, spanId="a" * 16, name="hybrid", startTimeUnixNano="1700000000000123136")
    child = json_span(traceId=copy, parentSpanId="a" * 16, name="child")
    sends = [
        lambda: http.post("/langsmith/runs", json=run),
        # Children end first and may come in a request of their own, before or after their root.
        lambda: copies(http, child),
        lambda: copies(http, root),
        lambda: copies(http, {**child, "spanId": "b" * 16}),
    ]
    for send in sends if first == "run" else [*sends[1:3], sends[0], sends[3]]:
        assert send().status_code in {200, 202}
    cur.execute("SELECT source, runs FROM traces_app_tracehead")
    assert cur.fetchall() == [("langsmith", 1)]
    cur.execute("SELECT count(*) FROM traces_app_runpart")
    assert cur.fetchone() == (1,)
    cur.execute("SELECT sum(runs) FROM traces_app_rollup")
    assert cur.fetchone() == (1,)


def test_a_trace_with_a_span_of_its_own_is_no_copy(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    trace, mixed = str(uuid.uuid4()), uuid.uuid4().hex
    run = {"id": trace, "trace_id": trace, "name": "hybrid", "run_type": "chain", "session_name": "both"}
    run |= {"start_time": "2023-11-14T22:13:20Z"}
    root = json_span(traceId=mixed, spanId="a" * 16, name="hybrid", startTimeUnixNano="1700000000000000000")
    own = json_span(traceId=mixed, parentSpanId="a" * 16, name="own")
    assert copies(http, root).status_code == 200
    headers = {"content-type": "application/json"}
    assert http.post("/otlp/v1/traces", content=json_body(own), headers=headers).status_code == 200
    assert http.post("/langsmith/runs", json=run).status_code == 202
    names = {r.name for r in reader.load_runs(cur, [str(uuid.UUID(mixed))])}
    assert names == {"hybrid", "own"}, "what another library sent is never taken away"


def copies(http: httpx.Client, span: dict[str, Any]) -> httpx.Response:
    group = {"resource": {"attributes": LANGSMITH}, "scopeSpans": [{"spans": [span]}]}
    headers = {"langsmith-project": "both"}
    return http.post("/langsmith/otel/v1/traces", json={"resourceSpans": [group]}, headers=headers)
