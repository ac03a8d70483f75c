"""Small actions to stitch: a caller that fans out over two pools, in plain rows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from traces_app.rows import DispatchRow, RunRow

T0 = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)


def uid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def run(name: str, start: float, end: float | None, parent: str = "", **fields: Any) -> RunRow:
    """A LangSmith run named `name`, whose id derives from its name."""
    values: dict[str, Any] = {
        "run_id": uid(name),
        "trace_id": uid("caller"),
        "parent_run_id": uid(parent) if parent else None,
        "name": name,
        "start": at(start),
        "end": None if end is None else at(end),
        "status": "running" if end is None else "ok",
        "project": "web-app",
    }
    return RunRow(**{**values, **fields})


def hop(name: str, start: float, end: float | None, **fields: Any) -> DispatchRow:
    values: dict[str, Any] = {
        "id": uid(name),
        "received_at": at(start),
        "request_id": uid("request " + name),
        "path": "/runs/wait",
        "assistant_id": "email_compose",
        "pool": "EMAIL",
        "routing_version": 7,
        "status": 200,
        "key_name": "web-app",
        "w3c_trace_id": uid("w3c " + name).replace("-", ""),
        "w3c_minted": True,
        "ended_at": None if end is None else at(end),
    }
    return DispatchRow(**{**values, **fields})


def called(name: str, assistant: str, pool: str, start: float, end: float, **fields: Any) -> list[RunRow]:
    """A pool root that adopted the caller's headers, with one node and one LLM call of 100 tokens."""
    tags = {
        "pool": pool,
        "assistant_id": assistant,
        "dispatch_id": uid("hop " + name),
        "project": "agentic-sales",
        **fields,
    }
    root = run(name, start, end, "caller", **tags)
    inner = {**tags, "trace_id": root.trace_id}
    node = run(f"{name}.draft", start + 0.1, end - 0.1, name, **inner)
    llm = run(
        f"{name}.llm",
        start + 0.2,
        end - 0.2,
        f"{name}.draft",
        **{**inner, "run_type": "llm", "model": "m-1", "total_tokens": 100, "cost": Decimal("0.002")},
    )
    # SDKs copy usage up on to whatever returned it: it must not be billed again.
    return [root, replace(node, total_tokens=100, cost=Decimal("0.002")), llm]


def clean() -> tuple[list[RunRow], list[DispatchRow]]:
    """caller → hop → EMAIL and caller → hop → CLASSIFY, everything as it should be."""
    sent: dict[str, Any] = {
        "ls_trace_id": uid("caller"),
        "ls_parent_run_id": uid("caller"),
        "ls_project": "web-app",
    }
    runs = [
        run("caller", 0, 10),
        *called("compose", "email_compose", "EMAIL", 1.0, 4.0),
        *called("classify", "classify_company", "CLASSIFY", 5.0, 8.0),
    ]
    hops = [
        hop("hop compose", 0.9, 4.1, run_id=uid("compose"), **sent),
        hop(
            "hop classify",
            4.9,
            8.1,
            run_id=uid("classify"),
            assistant_id="classify_company",
            pool="CLASSIFY",
            **sent,
        ),
    ]
    return runs, hops
