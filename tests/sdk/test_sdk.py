"""Running graphs through the SDK: results, errors and whether they may be repeated, streams, the command."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from fleet.sdk import (
    LangGraphError,
    arun_graph,
    arun_graph_with_meta,
    astream_graph,
    run_graph,
    run_graph_with_meta,
    stream_graph,
)
from fleet.sdk.aio import _client as async_client
from fleet.sdk.client import _client as sync_client
from fleet.sdk.propagation import Carried, carry, outbound_headers
from tests.worker.conftest import clean_env, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBE = "probe_email"
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture(autouse=True)
def fresh_client() -> Iterator[None]:
    yield
    sync_client().close()
    sync_client.cache_clear()


def test_run_graph(platform: str) -> None:
    assert run_graph(PROBE, {"x": 1})["x"] == 2


async def test_the_async_twin(platform: str) -> None:
    assert (await arun_graph(PROBE, {"x": 1}))["x"] == 2
    result = await arun_graph_with_meta(PROBE, {"x": 2})
    assert result.output["x"] == 3
    assert uuid.UUID(result.langsmith_run_id).version == 7
    await async_client().aclose()


def test_the_ids_to_store_come_along(platform: str) -> None:
    result = run_graph_with_meta(PROBE, {"x": 1})
    assert uuid.UUID(result.langsmith_run_id).version == 7
    assert uuid.UUID(result.request_id)
    assert result.pool == "EMAIL"
    assert 0 < result.timings.first_byte_ms <= result.timings.total_ms


def test_a_failed_graph_is_not_safe_to_repeat(platform: str) -> None:
    with pytest.raises(LangGraphError) as caught:
        run_graph(PROBE, {"fail": True})
    assert (caught.value.kind, caught.value.retry_safe) == ("backend", False)
    assert "ValueError" in str(caught.value)


def test_an_unknown_graph_is_the_clients_fault(platform: str) -> None:
    with pytest.raises(LangGraphError) as caught:
        run_graph("nobody", {})
    assert (caught.value.kind, caught.value.status) == ("client", 422)


def test_a_wrong_key_is_auth(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_API_KEY", "wrong")
    with pytest.raises(LangGraphError) as caught:
        run_graph(PROBE, {})
    assert (caught.value.kind, caught.value.status) == ("auth", 401)


def test_nobody_there_is_safe_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(LangGraphError) as caught:
        run_graph(PROBE, {})
    assert (caught.value.kind, caught.value.retry_safe) == ("backend", True)


def test_a_deadline_is_a_timeout(platform: str) -> None:
    with pytest.raises(LangGraphError) as caught:
        run_graph(PROBE, {"sleep": 30}, timeout=0.5)
    assert (caught.value.kind, caught.value.retry_safe) == ("timeout", False)


async def test_an_async_deadline_is_a_timeout(platform: str) -> None:
    with pytest.raises(LangGraphError) as caught:
        await arun_graph(PROBE, {"sleep": 30}, timeout=0.5)
    assert caught.value.kind == "timeout"
    await async_client().aclose()


def test_stream(platform: str) -> None:
    events = list(stream_graph(PROBE, {"x": 1}, stream_mode=["values", "updates"]))
    assert events[0].event == "metadata"
    assert events[-1].data == {"x": 2, "pool": "EMAIL"}
    with pytest.raises(LangGraphError, match="ValueError"):
        list(stream_graph(PROBE, {"fail": True}))


async def test_async_stream(platform: str) -> None:
    events = [event async for event in astream_graph(PROBE, {"x": 1})]
    assert events[-1].data == {"probe": {"x": 2, "pool": "EMAIL"}}
    await async_client().aclose()


def test_the_command(platform: str) -> None:
    command = [sys.executable, "-m", "fleet.sdk", "run", PROBE]
    env = {**os.environ, "PLATFORM_URL": platform}
    good = subprocess.run(
        [*command, '{"x": 1}'], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert good.returncode == 0
    assert '"x": 2' in good.stdout
    failed = subprocess.run(
        [*command, '{"fail": true}'], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert failed.returncode == 1
    assert "ValueError" in failed.stderr
    assert (
        subprocess.run([*command, "{"], env=env, capture_output=True, timeout=30, check=False).returncode == 2
    )


async def test_a_run_carries_its_callers_headers_on() -> None:
    carry(Carried(traceparent=TRACEPARENT, request_id="r-1"))
    assert outbound_headers() == {"traceparent": TRACEPARENT, "x-request-id": "r-1"}


NO_TRACING = """
import sys, threading
from fleet.sdk import run_graph
run_graph("probe_email", {"x": 1})
banned = [m for m in sys.modules if m.split(".")[0] in ("langsmith", "opentelemetry", "langchain_core", "langgraph")]
assert not banned, banned
assert threading.active_count() == 1, threading.enumerate()
"""


def test_without_tracing_the_sdk_loads_no_tracing_library(platform: str) -> None:
    env = clean_env(PLATFORM_URL=platform, PLATFORM_API_KEY=os.environ["PLATFORM_API_KEY"])
    done = subprocess.run(
        [sys.executable, "-c", NO_TRACING], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


IN_A_SPAN = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from fleet.sdk.propagation import outbound_headers
tracer = TracerProvider().get_tracer("test")
with tracer.start_as_current_span("caller") as span:
    expected = f"{span.get_span_context().trace_id:032x}-{span.get_span_context().span_id:016x}"
    assert expected in outbound_headers()["traceparent"]
assert outbound_headers() == {}
"""

IN_A_RUN = """
import os
from langsmith import traceable, tracing_context, Client, get_current_run_tree
from fleet.sdk.propagation import outbound_headers
client = Client(api_url="http://127.0.0.1:9", api_key="none", info={})
@traceable
def caller():
    run = get_current_run_tree()
    assert outbound_headers()["langsmith-trace"] == run.dotted_order
    assert "langsmith-project=ours" in outbound_headers()["baggage"]
with tracing_context(enabled=True, client=client, project_name="ours"):
    caller()
os._exit(0)  # nobody takes what the client holds
"""


@pytest.mark.parametrize("script", [IN_A_SPAN, IN_A_RUN], ids=["opentelemetry", "langsmith"])
def test_an_open_trace_is_carried(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
