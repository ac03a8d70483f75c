"""email_compose: write a first outreach e-mail. Draft, critique, then refine when the critique asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from fleet.graphs.email.review import (
    LETTER,
    EmailOutput,
    EmailState,
    add_review,
    letter_facts,
)
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt
from fleet.kit.serve import served
from fleet.kit.state import Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

DRAFT = Prompt(
    name="email_compose.draft",
    instruction="""Write a first sales e-mail from the sender to the contact, under 120 words: open with something true
    and specific about the contact's company, say what the offer does for them, close with the one question asked.
    Greet the contact by first name and sign as the sender. Leave out whatever is not given.""",
    schema=LETTER,
)


class ComposeInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    tone: str


async def draft(state: EmailState) -> Update:
    answer = await ask(DRAFT, **letter_facts(state))
    return {"draft": answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import START, StateGraph

    graph = StateGraph(EmailState, input_schema=ComposeInput, output_schema=EmailOutput)
    graph.add_node("draft", draft)
    graph.add_edge(START, "draft")
    add_review(graph, draft="draft")
    return graph.compile(checkpointer=checkpointer, name="email_compose")


graph = served(build_graph)
