"""Faults planted where they happen: at processes, on the wire, in headers. Never as rows.

Each plant runs one action that is healthy but for its fault, and returns an id of that action. Around
the faulty call the action makes others that go well, so that a detector has something to be wrong about.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.faults_traces.rig import PROJECT, Rig, black_hole, losing_proxy, new_id
from tests.integration.conftest import KEY, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langsmith.run_trees import RunTree

Plant = "Callable[[Rig, int], str]"
HEALTHY = ("probe_core", "probe_email", "probe_classify")


def headers_of(tree: RunTree) -> dict[str, str]:
    return {name.lower(): value for name, value in tree.to_headers().items()}


def well(rig: Rig, headers: dict[str, str], number: int) -> None:
    """Calls that go well: none to two of them."""
    chosen = random.Random(number)
    for _ in range(chosen.randrange(3)):
        answer = rig.call(chosen.choice(HEALTHY), {"x": number}, headers)
        assert answer.json()["x"] == number + 1


def traced(rig: Rig, number: int, act: Callable[[RunTree, dict[str, str]], Any], **fields: Any) -> str:
    """A LangSmith caller around an act; returns its trace."""
    tree = rig.caller(**fields)
    tree.post()
    headers = headers_of(tree)
    well(rig, headers, number)
    act(tree, headers)
    tree.end(outputs={"ok": True})
    tree.patch()
    return str(tree.trace_id)


def clean(rig: Rig, number: int) -> str:
    """Nothing wrong: a caller, or a bare call, or one with OpenTelemetry, or one that streams."""
    kind = number % 5
    if kind == 0:
        return traced(rig, number, lambda _, headers: well(rig, headers, number + 1))
    if kind == 1:
        return rig.call(HEALTHY[number % 3], {"x": 1}, {}).headers["x-langsmith-run-id"]
    if kind == 2:
        return with_otel(rig, number, rig.platform.url, lambda headers: headers)

    def streamed(_: RunTree, headers: dict[str, str]) -> None:
        body = {"assistant_id": "probe_email", "input": {"x": 1}, "stream_mode": ["values"]}
        rig.http.post(f"{rig.platform.url}/runs/stream", json=body, headers=headers).raise_for_status()

    def fanned_out(tree: RunTree, headers: dict[str, str]) -> None:
        child = tree.create_child("gather", run_type="tool")
        child.post()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda name: rig.call(name, {"x": 1}, headers_of(child)), HEALTHY))
        child.end(outputs={})
        child.patch()

    return traced(rig, number, streamed if kind == 3 else fanned_out)


def with_otel(
    rig: Rig,
    number: int,
    url: str,
    sent: Callable[[dict[str, str]], dict[str, str]],
    name: str = "POST /follow-up",
) -> str:
    """A caller that traces with OpenTelemetry, notes its request id, and calls `url`."""
    exporter = OTLPSpanExporter(f"{rig.platform.url}/otlp/v1/traces", headers={"x-api-key": KEY})
    provider = TracerProvider(resource=Resource.create({"service.name": PROJECT}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    request_id = new_id()
    with provider.get_tracer("caller").start_as_current_span(name) as span:
        span.set_attribute("request_id", request_id)
        context = span.get_span_context()
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
        headers = sent({"traceparent": parent, "x-request-id": request_id})
        rig.call(HEALTHY[number % 3], {"x": number}, headers, url=url).raise_for_status()
    provider.shutdown()
    return f"{context.trace_id:032x}"


def stripped_traceparent(rig: Rig, number: int) -> str:
    return with_otel(rig, number, rig.proxies["traceparent"], lambda headers: headers)


def past_the_dispatcher(rig: Rig, number: int) -> str:
    """The worker's own address, with the pool's secret; every other one without any header."""
    pool = ("CORE", "EMAIL", "CLASSIFY")[number % 3]
    secret = {"authorization": f"Bearer {rig.secrets[pool + '_WORKER_SECRET']}"}
    url, assistant = f"http://127.0.0.1:{rig.ports[pool]}", f"probe_{pool.lower()}"

    def directly(headers: dict[str, str]) -> httpx.Response:
        return rig.call(assistant, {"x": 1}, {**headers, **secret}, url=url).raise_for_status()

    if number % 2:
        answer = directly({})
        return answer.headers["content-location"].rsplit("/", 1)[1]
    return traced(rig, number, lambda _, headers: directly(headers))


def failed_inside(rig: Rig, number: int) -> str:
    def fail(_: RunTree, headers: dict[str, str]) -> None:
        answer = rig.call(HEALTHY[number % 3], {"fail": True}, headers)
        assert answer.status_code == 200
        assert "__error__" in answer.json()

    return traced(rig, number, fail)


def lost_family(rig: Rig, number: int) -> str:
    """One of three: malformed, taken away whole, or only the baggage that names the project."""

    def malformed(_: RunTree, headers: dict[str, str]) -> None:
        broken = {**headers, "x-request-id": new_id(), "baggage": "langsmith-metadata=%7Bnot-json"}
        rig.call("probe_email", {"x": 1}, broken).raise_for_status()

    def without(lost: str) -> Callable[[RunTree, dict[str, str]], None]:
        def act(tree: RunTree, headers: dict[str, str]) -> None:
            sent = {**headers, "x-request-id": tree.extra["metadata"]["request_id"]}
            rig.call("probe_email", {"x": 1}, sent, url=rig.proxies[lost]).raise_for_status()

        return act

    act = (malformed, without("langsmith-trace"), without("baggage"))[number % 3]
    return traced(rig, number, act, extra={"metadata": {"request_id": new_id()}})


def parent_never_sent(rig: Rig, number: int) -> str:
    """The caller's span is not sent (sampled out, or to another place), or a step in the middle is not."""
    if number % 2:
        tree = rig.caller()
        well(rig, headers_of(tree), number)
        rig.call("probe_core", {"x": 1}, headers_of(tree)).raise_for_status()
        return str(tree.trace_id)

    def gap(tree: RunTree, _: dict[str, str]) -> None:
        lost = tree.create_child("rank contacts")
        below = lost.create_child("score", run_type="tool")
        below.post()
        rig.call("probe_core", {"x": 1}, headers_of(below)).raise_for_status()
        below.end(outputs={})
        below.patch()

    return traced(rig, number, gap)


def shifted_clock(rig: Rig, number: int) -> str:
    """A caller whose clock is off by minutes, either way."""
    off = timedelta(seconds=(-1) ** number * (90 + 7 * number))
    tree = rig.caller(start_time=datetime.now(UTC) + off)
    tree.post()
    well(rig, headers_of(tree), number)
    rig.call("probe_email", {"x": 1}, headers_of(tree)).raise_for_status()
    tree.end(outputs={}, end_time=datetime.now(UTC) + off)
    tree.patch()
    return str(tree.trace_id)


def started_twice(rig: Rig, number: int) -> str:
    """A caller that gives up on a run that has begun and asks again, or one run id used for two runs."""

    def impatient(_: RunTree, headers: dict[str, str]) -> None:
        sent = {**headers, "x-request-id": new_id()}
        try:
            rig.call("probe_classify", {"x": 1, "sleep": 1.5}, sent, timeout=0.7)
        except httpx.ReadTimeout:
            rig.call("probe_classify", {"x": 1}, sent).raise_for_status()

    def same_id(tree: RunTree, _: dict[str, str]) -> None:
        child = tree.create_child("draft")
        child.post()
        child.end(outputs={})
        child.patch()
        rig.tracer.flush()
        again = rig.caller("redraft", id=child.id, trace_id=tree.trace_id, parent_run=tree)
        again.dotted_order = child.dotted_order
        again.post()
        again.end(outputs={})
        again.patch()

    return traced(rig, number, impatient if number % 2 else same_id)


def ring(rig: Rig, number: int) -> str:
    """Two steps that name each other as parent."""

    def act(tree: RunTree, _: dict[str, str]) -> None:
        one, two = tree.create_child("plan"), tree.create_child("act")
        one.parent_run_id, two.parent_run_id = two.id, one.id
        for step in (one, two):
            step.parent_run = None
            step.post()
            step.end(outputs={})
            step.patch()

    return traced(rig, number, act)


def lost_before_flush(rig: Rig, count: int) -> list[str]:
    """A worker that answers and is killed before what it traced has left it."""
    with (
        black_hole() as nowhere,
        rig.worker("EMAIL", endpoint=nowhere) as (url, process),
        rig.rerouted("EMAIL", base_urls=[url]),
    ):

        def act(number: int) -> str:
            def last(_: RunTree, headers: dict[str, str]) -> None:
                rig.call("probe_email", {"x": 1}, headers).raise_for_status()

            return _traced_elsewhere(rig, number, last)

        found = rig.each(act, count)
        process.kill()
    return found


def killed_at_work(rig: Rig, count: int) -> list[str]:
    """A worker that is killed while its runs are under way: they began and never end."""
    with rig.worker("EMAIL") as (url, process), rig.rerouted("EMAIL", base_urls=[url]):

        def act(number: int) -> str:
            def cut_off(_: RunTree, headers: dict[str, str]) -> None:
                rig.call("probe_email", {"sleep": 120}, headers)

            return _traced_elsewhere(rig, number, cut_off)

        with ThreadPoolExecutor(count) as pool:
            waiting = [pool.submit(act, number) for number in range(count)]
            eventually(lambda: _running(rig) >= count, within=60)
            process.kill()
            return [one.result() for one in waiting]


def _traced_elsewhere(rig: Rig, number: int, act: Callable[[RunTree, dict[str, str]], None]) -> str:
    """A traced act whose healthy calls go to other pools than the one with the fault."""
    tree = rig.caller()
    tree.post()
    for _ in range(number % 3):
        rig.call("probe_core", {"x": 1}, headers_of(tree)).raise_for_status()
    act(tree, headers_of(tree))
    tree.end(outputs={})
    tree.patch()
    return str(tree.trace_id)


def _running(rig: Rig) -> int:
    query: dict[str, str | int] = {"q": "assistant:probe_email status:running", "limit": 200}
    found = rig.http.get(f"{rig.platform.url}/api/traces", params=query).raise_for_status().json()["items"]
    return sum(one["open_runs"] >= 2 for one in found)


def misrouted(rig: Rig, count: int) -> list[str]:
    """A worker of another revision, in which the graph belongs to CORE, behind the address of EMAIL."""
    with (
        rig.worker("CORE", secret_of="EMAIL", program=MOVED) as (url, _),
        rig.rerouted("EMAIL", base_urls=[url]),
    ):

        def act(number: int) -> str:
            def call(_: RunTree, headers: dict[str, str]) -> None:
                rig.call("probe_email", {"x": 1}, headers).raise_for_status()

            return _traced_elsewhere(rig, number, call)

        return rig.each(act, count)


#: `python -m fleet.worker` with an allowlist that was moved.
MOVED = """
import sys
from contract.graph_spec import GraphSpec
from contract.registry import GRAPHS
from fleet.worker.__main__ import main
was = next(one for one in GRAPHS if one.assistant_id == "probe_email")
now = GraphSpec(was.assistant_id, was.module, pool="CORE", input_shape=was.input_shape, description="", resumable=True)
sys.exit(main(sys.argv[1:], [now]))
"""


def not_nested(rig: Rig, count: int, folder: Path) -> list[str]:
    """An unmodified Agent Server behind DISCOVERY: it takes the headers and nests nothing."""
    with rig.agent_server(folder) as url, rig.rerouted("DISCOVERY", base_urls=[url]):

        def act(number: int) -> str:
            def call(_: RunTree, headers: dict[str, str]) -> None:
                rig.call("probe_discovery", {"x": 1}, headers).raise_for_status()

            return _traced_elsewhere(rig, number, call)

        found = rig.each(act, count)
        time.sleep(3)  # let the server send what it traced before it is stopped
        return found


ONE_BY_ONE: dict[str, Callable[[Rig, int], str]] = {
    "two-traces": stripped_traceparent,
    "bypassed-dispatcher": past_the_dispatcher,
    "failed-graph-200": failed_inside,
    "header-family-lost": lost_family,
    "missing-parent": parent_never_sent,
    "clock-skew": shifted_clock,
    "duplicate-run": started_twice,
    "parent-cycle": ring,
}


def plant_all(rig: Rig, count: int, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(cause, the traces it was planted in), `count` of each; exit-before-flush has two halves."""
    with ExitStack() as stack:
        for lost in ("traceparent", "langsmith-trace", "baggage"):
            rig.proxies[lost] = stack.enter_context(losing_proxy(rig.platform.url, [lost]))
        for cause, plant in ONE_BY_ONE.items():
            yield cause, rig.each(lambda number, plant=plant: plant(rig, number), count)  # type: ignore[misc]
    yield "standalone-root", not_nested(rig, count, folder)
    yield "decided-not-executed", misrouted(rig, count)
    half = max(count // 2, 1)
    yield "exit-before-flush", [*lost_before_flush(rig, half), *killed_at_work(rig, count - half or 1)]
