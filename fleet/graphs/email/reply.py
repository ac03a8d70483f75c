"""email_reply: answer someone who answered. Reads what they want first: a letter, silence, or a person of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.graphs.email.review import (
    LETTER,
    EmailOutput,
    EmailState,
    add_review,
    letter_facts,
)
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

READ = Prompt(
    name="email_reply.read",
    instruction="""Someone answered our sales e-mail. Decide how to handle it: "letter" when a short mail can answer,
    "silence" when they said no, asked for no more mail, or a machine answered, "person" when it needs a human being
    (contracts, complaints, law, discounts). Name the intent in one or two words and the reason in one sentence.""",
    schema=answer_object(handling=choice("letter", "silence", "person"), intent=text(60), reason=text(400)),
)
DRAFT = Prompt(
    name="email_reply.draft",
    instruction="""Write our answer to the message, under 100 words, "Re: " and the subject of the message. Answer what was
    asked only from `answers` and the other given facts; say openly what we still have to find out. Propose one next
    step.""",
    schema=LETTER,
)


class ReplyInput(TypedDict, total=False):
    message: dict[str, Any]
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    answers: list[str]
    tone: str


class ReplyOutput(EmailOutput, total=False):
    #: letter, silence or person; only a letter has subject and body.
    handling: str
    intent: str
    reason: str


class ReplyState(EmailState, total=False):
    handling: str
    intent: str
    reason: str


async def read(state: ReplyState) -> Update:
    answer = await ask(READ, **letter_facts(state))
    return {**answer.data, **answer.facts()}


def after_reading(state: ReplyState) -> Literal["draft", "__end__"]:
    return "draft" if state["handling"] == "letter" else "__end__"


async def draft(state: ReplyState) -> Update:
    answer = await ask(DRAFT, **letter_facts(state), intent=state["intent"])
    return {"draft": answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ReplyState, input_schema=ReplyInput, output_schema=ReplyOutput)
    graph.add_node("read", read)
    graph.add_node("draft", draft)
    graph.add_edge(START, "read")
    graph.add_conditional_edges("read", after_reading, ["draft", END])
    add_review(graph, draft="draft")
    return graph.compile(checkpointer=checkpointer, name="email_reply")


graph = served(build_graph)
