"""email_followup: the next mail to someone who has not answered. It adds one thing the earlier mails did not say."""

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
    name="email_followup.draft",
    instruction="""Write a follow-up to the previous mails, in the same thread ("Re: " and the subject of the first) and
    under 80 words. Add one thing that none of them said, do not repeat them, do not reproach the silence. When
    `last_one` is true, say that it is the last mail and make it easy to say no.""",
    schema=LETTER,
)


class FollowupInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    tone: str
    previous: list[dict[str, Any]]
    last_one: bool


class FollowupState(EmailState, total=False):
    last_one: bool


async def draft(state: FollowupState) -> Update:
    answer = await ask(DRAFT, **letter_facts(state), last_one=state.get("last_one") or False)
    return {"draft": answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import START, StateGraph

    graph = StateGraph(FollowupState, input_schema=FollowupInput, output_schema=EmailOutput)
    graph.add_node("draft", draft)
    graph.add_edge(START, "draft")
    add_review(graph, draft="draft")
    return graph.compile(checkpointer=checkpointer, name="email_followup")


graph = served(build_graph)
