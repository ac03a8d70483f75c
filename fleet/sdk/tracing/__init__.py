"""A graph run, traced where the environment says so; nothing is imported, made or copied where it does not.

LangSmith is on with `LANGSMITH_TRACING`, OpenTelemetry with `OTEL_EXPORTER_OTLP_ENDPOINT`. Both may be on, but not
at one receiver: it would be told of every run twice.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fleet.sdk.propagation import carry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from fleet.sdk.propagation import Carried

log = logging.getLogger(__name__)
_TRUE = frozenset({"true", "1"})
#: LangSmith's client goes on trying for 12 s, and for ever where nothing answers; the runner kills after 10.
_FLUSH_S = 3.0


def otel_is_on(env: Mapping[str, str]) -> bool:
    """Whether runs are exported over OTLP."""
    endpoint = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    if not endpoint or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    traced = env.get("LANGSMITH_TRACING", "").lower() in _TRUE
    if traced and urlsplit(endpoint).netloc == urlsplit(env.get("LANGSMITH_ENDPOINT", "")).netloc:
        log.warning("OTLP export is off: %s is told of every run by LangSmith already", endpoint)
        return False
    return True


def graph_run(config: dict[str, Any], carried: Carried) -> AbstractContextManager[None]:
    """Run a graph with `config` inside the block, nested under its caller in every trace that is on.

    The headers it came with reach the graph's own calls.
    """
    carry(carried)
    return _nested(config, carried) if _OTEL or carried.langsmith_trace else nullcontext()


@contextmanager
def _nested(config: dict[str, Any], carried: Carried) -> Iterator[None]:
    with ExitStack() as stack:
        if carried.langsmith_trace:
            from langsmith.run_helpers import tracing_context

            parent = {"langsmith-trace": carried.langsmith_trace, "baggage": carried.baggage}
            stack.enter_context(tracing_context(parent=parent))
        if _OTEL:
            from fleet.sdk.tracing import otel

            stack.enter_context(otel.graph_run(config, carried))
        yield


def flush() -> None:
    """Send what is still held, where something was made to hold it. Blocks for some seconds at most."""
    tracer = sys.modules.get("langchain_core.tracers.langchain")
    if tracer is not None:
        sender = threading.Thread(target=tracer.wait_for_all_tracers, daemon=True)
        sender.start()
        sender.join(_FLUSH_S)
    otel = sys.modules.get("fleet.sdk.tracing.otel")
    if otel is not None:
        otel.flush()


_OTEL = otel_is_on(os.environ)
