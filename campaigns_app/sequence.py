"""Drive a resumable graph that keeps a contact's whole sequence: one thread an enrollment, woken for each step.

The thread is the graph's memory, the rows are ours. A process may die between the two, so wherever a step was tried
before, the thread is read before it is woken: a letter it wrote already is taken, never asked for again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contract.errors import LangGraphError
from fleet.sdk import RunResult, Timings, run_graph_with_meta, thread_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns_app.models import Enrollment

DEADLINE_S = 120.0
TIMER = {"resume": {"event": "timer"}}


def write_on_thread(graph: str, enrollment: Enrollment, given: Mapping[str, object]) -> RunResult:
    """The next letter of an enrollment's thread as `output`, with the ids of the run that wrote it.

    Raises:
        LangGraphError: The run failed, or the graph ended its sequence without another letter.
    """
    thread, taken = str(enrollment.pk), len(enrollment.touches.all())
    state = thread_state(thread) or {} if enrollment.tried_before else {}
    if len(mails_of(state.get("values"))) <= taken:
        result = run_graph_with_meta(
            graph,
            None if taken else given,
            timeout=DEADLINE_S,
            config=enrollment.campaign.run_config,
            thread_id=thread,
            command=TIMER if taken else None,
        )
        return letter(result, mails_of(result.output), taken)
    return letter(earlier_result(state), mails_of(state.get("values")), taken)


def letter(result: RunResult, mails: list[dict[str, Any]], index: int) -> RunResult:
    """`result` with the letter number `index` as its output."""
    if len(mails) <= index:
        raise LangGraphError("the sequence ended without another letter", kind="backend")
    return replace(result, output=mails[index])


def earlier_result(state: Mapping[str, Any]) -> RunResult:
    """What the run that made this state is known by, from the marks its checkpoint carries."""
    marks = state.get("metadata") or {}
    version = str(marks.get("agentic.routing_version") or "")
    return RunResult(
        output=None,
        langsmith_run_id=str(marks.get("run_id") or ""),
        request_id=str(marks.get("agentic.request_id") or ""),
        pool=str(marks.get("agentic.pool") or ""),
        routing_version=int(version) if version.isdigit() else None,
        w3c_trace_id="",
        timings=Timings(0.0, 0.0),
    )


def mails_of(values: object) -> list[dict[str, Any]]:
    mails = values.get("mails") if isinstance(values, dict) else None
    return mails if isinstance(mails, list) else []
