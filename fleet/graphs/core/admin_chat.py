"""admin_chat: a question about the fleet, answered from the platform's own API; every answer says what it was read from.

The model chooses one read after another until it can answer. It never acts: all tools only read.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit import platform_api
from fleet.kit.http import SourceError
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MOST_READS = 4

DECIDE = Prompt(
    name="admin_chat.decide",
    instruction="""Answer the question of an operator about this fleet of graphs. `tools` are the reads there are, `reads` what
    was read so far with its result. "read" names the tool to use next and its argument ("" for none); never repeat a read.
    "answer" when the reads hold the answer: short, with the figures and ids that stand in them, and nothing else. "cannot" when
    no tool can tell, with the reason as `answer`. A read that failed is no fact about the fleet.""",
    schema=answer_object(
        decision=choice("read", "answer", "cannot"),
        tool=text(40, min_length=0),
        argument=text(200, min_length=0),
        answer=text(2_000, min_length=0),
    ),
)


class ChatInput(TypedDict, total=False):
    question: str
    earlier: list[dict[str, Any]]


class ChatOutput(ModelFacts, total=False):
    #: answered, cannot, or unanswered (the platform did not answer).
    outcome: str
    answer: str
    #: What the answer rests on: tool, argument, ok.
    sources: list[dict[str, Any]]
    missing: Annotated[list[str], extend]
    partial: bool


class ChatState(ChatOutput, total=False):
    question: str
    earlier: list[dict[str, Any]]
    decision: str
    tool: str
    argument: str
    reads: Annotated[list[dict[str, Any]], operator.add]


async def decide(state: ChatState) -> Update:
    question = clean(state.get("question"), 1_000)
    if not question:
        raise LangGraphError("question: ask something", kind="client")
    reads = state.get("reads") or []
    answer = await ask(
        DECIDE,
        question=question,
        earlier=state.get("earlier") or [],
        tools=platform_api.described(),
        reads=reads,
        reads_left=MOST_READS - len(reads),
    )
    return {**answer.data, **answer.facts()}


def after_deciding(state: ChatState) -> Literal["read", "conclude"]:
    more = state["decision"] == "read" and len(state.get("reads") or []) < MOST_READS
    return "read" if more else "conclude"


async def read(state: ChatState) -> Update:
    """One read; a call that cannot be made or fails is told to the model like any result."""
    tool, argument = state["tool"], clean(state["argument"], 200)
    asked = {"tool": tool, "argument": argument}
    if any(asked.items() <= one.items() for one in state.get("reads") or []):
        return {"reads": [{**asked, "ok": False, "problem": "this was read before"}]}
    if problem := platform_api.refusal(tool, argument):
        return {"reads": [{**asked, "ok": False, "problem": problem}]}
    try:
        return {"reads": [{**asked, "ok": True, "result": await platform_api.read(tool, argument)}]}
    except SourceError as failure:
        return {"reads": [{**asked, "ok": False, "problem": str(failure)}], "missing": [str(failure)]}


def conclude(state: ChatState) -> Update:
    """An answer that rests on no read that worked is none, whatever the model says."""
    reads = state.get("reads") or []
    sources = [{key: one[key] for key in ("tool", "argument", "ok")} for one in reads]
    facts: Update = {"sources": sources, "partial": bool(state.get("missing"))}
    if state["decision"] == "answer" and any(one["ok"] for one in reads) and state["answer"].strip():
        return {**facts, "outcome": "answered", "answer": state["answer"]}
    if state.get("missing"):
        away = "The platform's API gave no answer, so nothing is known about this just now."
        return {**facts, "outcome": "unanswered", "answer": away}
    reason = state["answer"] if state["decision"] == "cannot" else ""
    return {**facts, "outcome": "cannot", "answer": reason or "The reads that were made do not answer this."}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ChatState, input_schema=ChatInput, output_schema=ChatOutput)
    graph.add_node("decide", decide)
    graph.add_node("read", read)
    graph.add_node("conclude", conclude)
    graph.add_edge(START, "decide")
    graph.add_conditional_edges("decide", after_deciding, ["read", "conclude"])
    graph.add_edge("read", "decide")
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=checkpointer, name="admin_chat")


graph = served(build_graph)
