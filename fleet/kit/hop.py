"""One graph calls another through the dispatcher, so that the call is routed, limited and traced like any other."""

from __future__ import annotations

from typing import Any

from contract.errors import LangGraphError
from fleet.kit.text import section


async def call_graph(
    assistant_id: str, payload: dict[str, Any], timeout_s: float
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The graph's output ({} when it failed), the hop, and what is missing for it."""
    from fleet.sdk import arun_graph_with_meta

    try:
        result = await arun_graph_with_meta(assistant_id, payload, timeout=timeout_s)
    except LangGraphError as failure:
        reason = str(failure)[:300]
        hop = {"assistant_id": assistant_id, "ok": False, "kind": failure.kind, "error": reason}
        return {}, hop, [f"{assistant_id}: {reason}"]
    hop = {
        "assistant_id": assistant_id,
        "ok": True,
        "pool": result.pool,
        "run_id": result.langsmith_run_id,
        "request_id": result.request_id,
    }
    return section(result.output), hop, []
