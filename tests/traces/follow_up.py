"""A realistic action: web-app asks EMAIL for a follow-up, which asks CLASSIFY; one 429, retried."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.traces.scenes import at, uid
from traces_app.rows import DispatchRow, RunPayload, RunRow

COSTS = {"gpt-4.1-mini": Decimal("0.0000009"), "claude-sonnet-4-5": Decimal("0.00000483")}
Parts = tuple[list[RunRow], list[DispatchRow]]


def follow_up(*, proxy_strips: bool = False) -> Parts:
    """Rows of the action. With `proxy_strips` the caller's trace never reached the dispatcher."""
    runs: list[RunRow] = []

    def add(
        name: str, start: float, end: float | None, parent: str, kind: str = "chain", **more: Any
    ) -> None:
        pool = more.pop("pool", "EMAIL")
        caller = pool == ""
        tokens = more.pop("tokens", None)
        model = more.get("model")
        if tokens is not None and model:
            more |= {
                "total_tokens": tokens,
                "prompt_tokens": round(tokens * 0.9),
                "completion_tokens": tokens - round(tokens * 0.9),
                "cost": COSTS[model] * tokens,
            }
        trace = uid("web-app") if caller or not proxy_strips else uid("EMAIL trace")
        facts = {} if caller else {
            "pool": pool,
            "assistant_id": "email_compose" if pool == "EMAIL" else "intent_classify",
            "dispatch_id": uid(f"hop {pool}"),
            "routing_version": 41,
            "graph_digest": "7be1d402" * 8,
        }  # fmt: skip
        values: dict[str, Any] = {
            "run_id": uid(name),
            "trace_id": trace,
            "parent_run_id": uid(parent) if parent else None,
            "name": more.pop("shown", name),
            "run_type": kind,
            "project": "agentic-sales",
            "start": at(start),
            "end": None if end is None else at(end),
            "status": "running" if end is None else "ok",
            **facts,
            **more,
        }
        runs.append(RunRow(**values))

    def llm(name: str, start: float, first: float, end: float, parent: str, model: str, tokens: int, **more: Any) -> None:  # fmt: skip
        fields = {"shown": model, "model": model, "tokens": tokens, "first_token": at(first), **more}
        add(name, start, end, parent, "llm", **fields)

    add("web-app", 0, 9.42, "", shown="sendFollowUp", pool="")
    add("email_compose", 0.05, 9.40, "" if proxy_strips else "web-app", metadata={"agentic.span_count": 14})
    add("load_context", 0.06, 0.42, "email_compose")
    add("crm.contact", 0.07, 0.2, "load_context", "tool")
    add("touches.history", 0.21, 0.40, "load_context", "tool")
    add("enrich_intent", 0.43, 3.2, "email_compose")
    add("intent_classify", 0.45, 3.18, "enrich_intent", pool="CLASSIFY")
    add("prepare", 0.46, 0.474, "intent_classify", pool="CLASSIFY")
    add("classify", 0.48, 3.04, "intent_classify", pool="CLASSIFY")
    rate = "RateLimitError: 429 Too Many Requests"
    add(
        "try 1",
        0.48,
        1.045,
        "classify",
        "llm",
        pool="CLASSIFY",
        shown="gpt-4.1-mini",
        status="error",
        error=rate,
    )
    llm("try 2", 1.265, 1.7, 3.025, "classify", "gpt-4.1-mini", 1284, pool="CLASSIFY")
    add("persist", 3.04, 3.183, "intent_classify", pool="CLASSIFY")
    add("plan_message", 3.21, 3.978, "email_compose")
    llm("plan llm", 3.22, 3.46, 3.97, "plan_message", "gpt-4.1-mini", 1418)
    add("draft_email", 3.99, 7.93, "email_compose")
    llm("draft llm", 4.0, 4.61, 7.91, "draft_email", "claude-sonnet-4-5", 3912)
    add("guardrails", 7.94, 8.668, "email_compose")
    add("pii_check", 7.95, 7.995, "guardrails", "tool")
    llm("judge llm", 8.0, 8.2, 8.665, "guardrails", "gpt-4.1-mini", 1198)
    add("schedule_send", 8.67, 9.4, "email_compose")
    add("outbox.enqueue", 8.68, 9.39, "schedule_send", "tool")
    return runs, [_hop("EMAIL", 0.03, 9.41, "" if proxy_strips else "web-app"), _hop("CLASSIFY", 0.44, 3.19, "enrich_intent")]  # fmt: skip


def _hop(pool: str, start: float, end: float, parent: str) -> DispatchRow:
    root = "email_compose" if pool == "EMAIL" else "intent_classify"
    return DispatchRow(
        id=uid(f"hop {pool}"),
        received_at=at(start),
        ended_at=at(end),
        request_id=uid(f"request {pool}"),
        path="/runs/wait",
        assistant_id=root,
        pool=pool,
        replica=f"{pool}-1",
        routing_version=41,
        routing_digest="ab12f9c0" * 8,
        status=200,
        run_id=uid(root),
        key_name="web-app" if pool == "EMAIL" else "pool EMAIL",
        ls_trace_id=uid("web-app") if parent else "",
        ls_parent_run_id=uid(parent) if parent else "",
        executed_pool=pool,
        executed_graph_digest="7be1d402" * 8,
        decided_graph_digest="7be1d402" * 8,
    )


def conversation_payload() -> RunPayload:
    """What the drafting LLM was asked and answered, as LangChain writes it."""

    def constructor(name: str, content: str) -> dict[str, Any]:
        return {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", name],
            "kwargs": {"content": content},
        }

    system = "You write follow-ups for operations leaders. One idea, one question, under 110 words.\n" * 16
    person = "Lena Hoffmann, COO at Brightwell Logistics (Hamburg, 420 staff). Opened step 1 twice, no reply."
    answer = (
        "Subject: Dock-to-stock before the peak, Lena\n\nHi Lena, you mentioned that nothing new goes in once "
        "the Rotterdam peak starts. Fair.\n\nWould it help to see the cut-over plan they used?\n\nBest,\nMara"
    )
    return RunPayload(
        inputs={"messages": [[constructor("SystemMessage", system), constructor("HumanMessage", person)]]},
        outputs={"generations": [[{"text": answer, "message": constructor("AIMessage", answer)}]]},
        extra={"invocation_params": {"temperature": 0.4, "max_tokens": 600}},
    )
