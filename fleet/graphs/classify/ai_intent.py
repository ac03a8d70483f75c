"""classify_ai_intent: does a company build, adopt or explore AI? The label rests on quotes that stand in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.evidence import stands_in
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

LABEL = Prompt(
    name="classify_ai_intent.label",
    instruction="""Label what the text says about the company and AI:
    building: AI is part of what it sells or builds itself. adopting: it brings AI into its own work now.
    exploring: it plans, tests or hires for a first step. none: the text shows no intent of its own.
    `evidence` are short quotes, word for word, that show it; none for "none".""",
    schema=answer_object(
        label=choice("building", "adopting", "exploring", "none"), confidence=share(), evidence=texts(5, 300)
    ),
)
OPENING = Prompt(
    name="classify_ai_intent.opening",
    instruction="""From the evidence, name in one sentence the need a seller of AI infrastructure could speak to. State
    nothing that the evidence does not show.""",
    schema=answer_object(need=text(300)),
)


class IntentInput(TypedDict, total=False):
    text: str
    company: dict[str, Any]


class IntentOutput(ModelFacts, total=False):
    #: building, adopting, exploring, none, or unproven when no quote of the model stands in the text.
    label: str
    confidence: float
    evidence: list[str]
    need: str


class IntentState(IntentOutput, total=False):
    text: str
    company: dict[str, Any]


async def label(state: IntentState) -> Update:
    given = state.get("text") or ""
    answer = await ask(LABEL, text=given, company=state.get("company") or {})
    data = answer.data
    quotes = [quote for quote in data["evidence"] if stands_in(quote, given)]
    proven = data["label"] == "none" or bool(quotes)
    return {
        "label": data["label"] if proven else "unproven",
        "confidence": data["confidence"] if proven else 0.0,
        "evidence": quotes,
        **answer.facts(),
    }


def after_labelling(state: IntentState) -> Literal["find_need", "__end__"]:
    return "find_need" if state["label"] in ("building", "adopting", "exploring") else "__end__"


async def find_need(state: IntentState) -> Update:
    answer = await ask(
        OPENING, label=state["label"], evidence=state["evidence"], company=state.get("company") or {}
    )
    return {"need": answer.data["need"], **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(IntentState, input_schema=IntentInput, output_schema=IntentOutput)
    graph.add_node("label", label)
    graph.add_node("find_need", find_need)
    graph.add_edge(START, "label")
    graph.add_conditional_edges("label", after_labelling, ["find_need", END])
    graph.add_edge("find_need", END)
    return graph.compile(checkpointer=checkpointer, name="classify_ai_intent")


graph = served(build_graph)
