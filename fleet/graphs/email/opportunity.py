"""email_opportunity: answer a published need (a tender, a project, a role) if the offer meets it, ask if it is not clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.graphs.email.review import LETTER, EmailOutput, EmailState, add_review, letter_facts
from fleet.kit.evidence import stands_in
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, texts
from fleet.kit.serve import served
from fleet.kit.state import Update
from fleet.kit.text import clean

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

WEIGH = Prompt(
    name="email_opportunity.weigh",
    instruction="""Weigh whether the sender should answer the opportunity: "apply" when the offer and its skills meet what is
    asked, "ask" when something decisive is left open, "skip" when it is asked for something else or has closed.
    `matches` are the asked points that are met, word for word from the opportunity; `open_points` are what is missing.""",
    schema=answer_object(
        decision=choice("apply", "ask", "skip"), matches=texts(6, 200), open_points=texts(6, 200)
    ),
)
APPLY = Prompt(
    name="email_opportunity.apply",
    instruction="""Write a short answer to the opportunity, under 130 words: name it, answer its points one by one from
    `matches` and the offer, say openly which of `open_points` is missing, and close with one question about the next step.""",
    schema=LETTER,
)
INQUIRE = Prompt(
    name="email_opportunity.inquire",
    instruction="""Write a short mail about the opportunity, under 90 words, that asks the most decisive of `open_points` as
    its one question and says in a sentence why the sender asks.""",
    schema=LETTER,
)


class OpportunityInput(TypedDict, total=False):
    opportunity: dict[str, Any]
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    skills: list[str]
    tone: str


class OpportunityOutput(EmailOutput, total=False):
    #: apply, ask, or skip: then there is no letter.
    decision: str
    matches: list[str]
    open_points: list[str]


class OpportunityState(EmailState, total=False):
    decision: str
    matches: list[str]
    open_points: list[str]


async def weigh(state: OpportunityState) -> Update:
    """Points that the opportunity does not ask for are no matches; without any, there is nothing to apply with."""
    answer = await ask(WEIGH, **letter_facts(state))
    asked = clean((state.get("opportunity") or {}).get("text"), 20_000)
    matches = [point for point in answer.data["matches"] if stands_in(point, asked)]
    decision = answer.data["decision"]
    if decision == "apply" and not matches:
        decision = "ask" if answer.data["open_points"] else "skip"
    return {**answer.data, "matches": matches, "decision": decision, **answer.facts()}


def after_weighing(state: OpportunityState) -> Literal["draft_answer", "draft_question", "__end__"]:
    match state["decision"]:
        case "apply":
            return "draft_answer"
        case "ask":
            return "draft_question"
        case _:
            return "__end__"


async def draft_answer(state: OpportunityState) -> Update:
    return await _draft(APPLY, state)


async def draft_question(state: OpportunityState) -> Update:
    return await _draft(INQUIRE, state)


async def _draft(prompt: Prompt, state: OpportunityState) -> Update:
    points = {"matches": state["matches"], "open_points": state["open_points"]}
    answer = await ask(prompt, **letter_facts(state), **points)
    return {"draft": answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(OpportunityState, input_schema=OpportunityInput, output_schema=OpportunityOutput)
    graph.add_node("weigh", weigh)
    graph.add_node("draft_answer", draft_answer)
    graph.add_node("draft_question", draft_question)
    graph.add_edge(START, "weigh")
    graph.add_conditional_edges("weigh", after_weighing, ["draft_answer", "draft_question", END])
    graph.add_edge("draft_question", "critique")
    add_review(graph, draft="draft_answer")
    return graph.compile(checkpointer=checkpointer, name="email_opportunity")


graph = served(build_graph)
