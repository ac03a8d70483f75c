"""topic_outreach: one mail a recipient about one topic; a long job that streams each letter as it is done.

Nothing is checkpointed: a job that is cut off keeps what it streamed, and is started again with who is left.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.graphs.email.review import LETTER
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

SCREEN = Prompt(
    name="topic_outreach.screen",
    instruction="""Decide whether the topic concerns this recipient, from role, company and what is known of it: "write" or
    "skip". `bridge` is one sentence that ties the topic to a given fact about them ("" for skip).""",
    schema=answer_object(decision=choice("write", "skip"), bridge=text(300, min_length=0), why=text(200)),
)
WRITE = Prompt(
    name="topic_outreach.write",
    instruction="""Write a mail about the topic to the recipient, under 100 words: open with `bridge`, say what the topic brings
    (its key points, nothing else), close with one question. Greet by first name, sign as the sender.""",
    schema=LETTER,
)


class TopicInput(TypedDict, total=False):
    topic: dict[str, Any]
    recipients: list[dict[str, Any]]
    sender: dict[str, Any]


class TopicOutput(ModelFacts, total=False):
    #: One a recipient who is written to: `recipient`, `subject`, `body`.
    letters: Annotated[list[dict[str, Any]], operator.add]
    #: One a recipient who is not: `recipient`, `why` (of the model, or the error that kept it from answering).
    skipped: Annotated[list[dict[str, Any]], operator.add]
    partial: bool


class TopicState(TopicOutput, total=False):
    topic: dict[str, Any]
    recipients: list[dict[str, Any]]
    sender: dict[str, Any]
    position: int
    bridge: str
    decision: str


def start(state: TopicState) -> Update:
    return {"position": 0, "partial": False, "letters": [], "skipped": []}


async def screen(state: TopicState) -> Update:
    """Who the topic does not concern is left out; so is, with the reason, who the model gave no answer for."""
    recipient = state["recipients"][state["position"]]
    try:
        answer = await ask(SCREEN, topic=section(state.get("topic")), recipient=recipient)
    except LangGraphError as failure:
        return _left_out(state, str(failure), partial=True)
    if answer.data["decision"] == "skip":
        return {**_left_out(state, answer.data["why"]), **answer.facts()}
    return {"decision": "write", "bridge": answer.data["bridge"], **answer.facts()}


def after_screening(state: TopicState) -> Literal["write", "screen", "__end__"]:
    if state["decision"] == "write":
        return "write"
    return after_one(state)


async def write(state: TopicState) -> Update:
    recipient = state["recipients"][state["position"]]
    facts = {"topic": section(state.get("topic")), "sender": section(state.get("sender"))}
    try:
        answer = await ask(WRITE, **facts, recipient=recipient, bridge=state["bridge"])
    except LangGraphError as failure:
        return _left_out(state, str(failure), partial=True)
    letter = {"recipient": _name(recipient), **answer.data}
    _report(state, letter)
    return {"letters": [letter], "position": state["position"] + 1, **answer.facts()}


def after_one(state: TopicState) -> Literal["screen", "__end__"]:
    return "screen" if state["position"] < len(state["recipients"]) else "__end__"


def _left_out(state: TopicState, why: str, *, partial: bool = False) -> Update:
    entry = {"recipient": _name(state["recipients"][state["position"]]), "why": clean(why)}
    _report(state, entry)
    done = {"decision": "skip", "skipped": [entry], "position": state["position"] + 1}
    return {**done, "partial": True} if partial else done


def _report(state: TopicState, entry: dict[str, Any]) -> None:
    """Tell whoever streams `custom` how far the job is."""
    from langgraph.config import get_stream_writer

    get_stream_writer()({"done": state["position"] + 1, "of": len(state["recipients"]), **entry})


def _name(recipient: dict[str, Any]) -> str:
    return clean(recipient.get("email"), 320) or clean(recipient.get("name"), 200)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(TopicState, input_schema=TopicInput, output_schema=TopicOutput)
    graph.add_node("start", start)
    graph.add_node("screen", screen)
    graph.add_node("write", write)
    graph.add_edge(START, "start")
    graph.add_conditional_edges("start", after_one, ["screen", END])
    graph.add_conditional_edges("screen", after_screening, ["write", "screen", END])
    graph.add_conditional_edges("write", after_one, ["screen", END])
    return graph.compile(checkpointer=checkpointer, name="topic_outreach")


graph = served(build_graph)
