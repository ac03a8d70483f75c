"""email_outreach: decide what a first mail may rest on, then write it; or hold it, when nothing true is there to open with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.graphs.email.review import LETTER, EmailOutput, EmailState, add_review, letter_facts
from fleet.kit.evidence import stands_in
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

CHOOSE = Prompt(
    name="email_outreach.choose",
    instruction="""Choose what a first mail to this contact opens with: "signal" for something that happened lately at the
    company, "problem" for a difficulty it shows, "role" for what the contact's role has to answer for, "hold" when none of
    it is given. `rests_on` is the given fact, word for word ("" for role and hold). Say why in one sentence.""",
    schema=answer_object(
        angle=choice("signal", "problem", "role", "hold"), rests_on=text(400, min_length=0), why=text(300)
    ),
)
DRAFT = Prompt(
    name="email_outreach.draft",
    instruction="""Write a first sales e-mail from the sender to the contact, under 110 words, that opens with `rests_on` (for
    the angle "role": with what that role has to answer for), turns to what the offer does about it, and closes with one
    question. Greet by first name, sign as the sender, leave out whatever is not given.""",
    schema=LETTER,
)


class OutreachInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    tone: str
    signals: list[str]


class OutreachOutput(EmailOutput, total=False):
    #: signal, problem, role, or hold: then there is no subject and no body.
    angle: str
    rests_on: str
    why: str


class OutreachState(EmailState, total=False):
    angle: str
    rests_on: str
    why: str


async def choose(state: OutreachState) -> Update:
    """A fact the model did not find among the given ones is no fact to open with."""
    facts = letter_facts(state)
    answer = await ask(CHOOSE, **facts)
    data = answer.data
    if data["angle"] in ("signal", "problem") and not stands_in(data["rests_on"], str(facts)):
        data = {"angle": "hold", "rests_on": "", "why": "the opening it chose is not among the given facts"}
    return {**data, **answer.facts()}


def after_choosing(state: OutreachState) -> Literal["draft", "__end__"]:
    return "__end__" if state["angle"] == "hold" else "draft"


async def draft(state: OutreachState) -> Update:
    answer = await ask(DRAFT, **letter_facts(state), angle=state["angle"], rests_on=state["rests_on"])
    return {"draft": answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(OutreachState, input_schema=OutreachInput, output_schema=OutreachOutput)
    graph.add_node("choose", choose)
    graph.add_node("draft", draft)
    graph.add_edge(START, "choose")
    graph.add_conditional_edges("choose", after_choosing, ["draft", END])
    add_review(graph, draft="draft")
    return graph.compile(checkpointer=checkpointer, name="email_outreach")


graph = served(build_graph)
