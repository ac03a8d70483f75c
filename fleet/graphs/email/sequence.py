"""campaign_sequence: the mails to one contact over weeks. Between two mails it sleeps, and wakes for a timer or an answer.

One thread is one enrollment. The graph writes and decides; sending is the caller's, who resumes it with
`{"event": "timer"}` when the wait is over or `{"event": "reply", "message": {…}}` when an answer came.
Every step is `async`, those that await nothing as well: LangGraph hands any other to a thread, which costs more than
the step itself.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from fleet.graphs.email.compose import DRAFT as FIRST
from fleet.graphs.email.followup import DRAFT as NEXT
from fleet.graphs.email.reply import DRAFT as ANSWER
from fleet.graphs.email.reply import READ
from fleet.graphs.email.review import EmailState, add_review, letter, letter_facts
from fleet.kit.llm import ask
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

DEFAULT_WAITS = [3, 7, 14]
HOW_TO_RESUME = 'resume with {"event": "timer"} or {"event": "reply", "message": {"body": "…"}}'


class SequenceInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    tone: str
    answers: list[str]
    waits: list[int]


class SequenceOutput(ModelFacts, total=False):
    #: running, stopped (they said no), handed_over (a person goes on), or finished (nobody answered).
    outcome: str
    #: Every mail of ours, oldest first: `kind` (first, followup, answer), `subject`, `body`.
    mails: Annotated[list[dict[str, Any]], operator.add]
    reason: str


class SequenceState(EmailState, total=False):
    waits: list[int]
    #: How many waits have passed. The last mail, too, gets its time to be answered.
    position: int
    kind: str
    event: str
    handling: str
    intent: str
    outcome: str
    reason: str
    mails: Annotated[list[dict[str, Any]], operator.add]


async def begin(state: SequenceState) -> Update:
    """The first mail, and what the sequence starts from."""
    waits = state.get("waits")
    answer = await ask(FIRST, **facts_of(state))
    return {
        "waits": DEFAULT_WAITS if waits is None else waits,
        "position": 0,
        "outcome": "running",
        "kind": "first",
        "draft": answer.data,
        **answer.facts(),
    }


async def draft(state: SequenceState) -> Update:
    """The next mail: a follow-up, or the answer to an answer."""
    if state["kind"] == "followup":
        last_one = state["position"] == len(state["waits"])
        answer = await ask(NEXT, **facts_of(state), last_one=last_one)
    else:
        answer = await ask(ANSWER, **facts_of(state), intent=state["intent"])
    return {"draft": answer.data, **answer.facts()}


def facts_of(state: SequenceState) -> dict[str, Any]:
    return {**letter_facts(state), "previous": state.get("mails") or []}


def record(state: SequenceState, text: dict[str, Any]) -> Update:
    """A letter of this sequence is one more of its mails."""
    written = letter(state, text)
    return {**written, "mails": [{"kind": state["kind"], **written}]}


async def wait(state: SequenceState) -> Update:
    """Sleep until the timer or an answer. A resume that is neither is told so, and the sleep goes on."""
    from langgraph.types import interrupt

    days = (state["waits"] or DEFAULT_WAITS)[min(state["position"], len(state["waits"]) - 1)]
    asked = {"waiting_for": ["timer", "reply"], "days": days, "mail": state["mails"][-1]}
    heard = section(interrupt(asked))
    while not (awake := _awake(state, heard)):
        heard = section(interrupt({**asked, "problem": HOW_TO_RESUME}))
    return awake


def _awake(state: SequenceState, heard: dict[str, Any]) -> Update:
    """What the event changes; nothing for one that is no event."""
    message = section(heard.get("message"))
    if heard.get("event") == "timer":
        return {"event": "timer", "message": {}, "kind": "followup", "position": state["position"] + 1}
    if heard.get("event") == "reply" and clean(message.get("body")):
        return {"event": "reply", "message": message, "kind": "answer"}
    return {}


async def after_waiting(state: SequenceState) -> Literal["read", "draft", "finish"]:
    if state["event"] == "reply":
        return "read"
    # Silence after an answer of ours ends the sequence: what was asked has been answered.
    answered = state["mails"][-1]["kind"] == "answer"
    return "finish" if answered or state["position"] > len(state["waits"]) else "draft"


async def read(state: SequenceState) -> Update:
    answer = await ask(READ, **letter_facts(state))
    return {**answer.data, **answer.facts()}


async def after_reading(state: SequenceState) -> Literal["draft", "stop", "hand_over"]:
    match state["handling"]:
        case "letter":
            return "draft"
        case "silence":
            return "stop"
        case _:
            return "hand_over"


async def stop(state: SequenceState) -> Update:
    return {"outcome": "stopped"}


async def hand_over(state: SequenceState) -> Update:
    return {"outcome": "handed_over"}


async def finish(state: SequenceState) -> Update:
    count = len(state["mails"])
    return {"outcome": "finished", "reason": f"{count} mail{'s' * (count > 1)} sent, no further answer"}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(SequenceState, input_schema=SequenceInput, output_schema=SequenceOutput)
    for node in (begin, draft, wait, read, stop, hand_over, finish):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "begin")
    add_review(graph, draft="draft", then="wait", done=record)
    graph.add_edge("begin", "critique")
    graph.add_conditional_edges("wait", after_waiting, ["read", "draft", "finish"])
    graph.add_conditional_edges("read", after_reading, ["draft", "stop", "hand_over"])
    for last in ("stop", "hand_over", "finish"):
        graph.add_edge(last, END)
    return graph.compile(checkpointer=checkpointer, name="campaign_sequence")


graph = served(build_graph)
