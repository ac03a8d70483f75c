"""classify_paper: what a research paper contributes, and whether someone could use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.evidence import stands_in
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

LABELS = ("method", "system", "resource", "study", "survey", "position")

LABEL = Prompt(
    name="classify_paper.label",
    instruction="""Label the paper by its main contribution:
    method: a new algorithm, model or training recipe. system: software or an architecture that was built and runs.
    resource: a data set or benchmark. study: measures or compares what exists. survey: reviews the literature.
    position: argues a view. `evidence` is a short quote from title or abstract, word for word.""",
    schema=answer_object(label=choice(*LABELS), confidence=share(), evidence=text(300)),
)
USE = Prompt(
    name="classify_paper.use",
    instruction="""Say in one sentence who could use the contribution for what, from the abstract alone, and whether the text
    says that code or data is available.""",
    schema=answer_object(use=text(300), available=choice("yes", "no", "unsaid")),
)


class PaperInput(TypedDict, total=False):
    title: str
    abstract: str


class PaperOutput(ModelFacts, total=False):
    #: One of the labels, or unproven when the model's quote does not stand in the text.
    label: str
    confidence: float
    evidence: str
    use: str
    available: str


class PaperState(PaperOutput, total=False):
    title: str
    abstract: str


def _facts(state: PaperState) -> dict[str, Any]:
    return {"title": state.get("title") or "", "abstract": state.get("abstract") or ""}


async def label(state: PaperState) -> Update:
    facts = _facts(state)
    answer = await ask(LABEL, **facts)
    proven = stands_in(answer.data["evidence"], f"{facts['title']}\n{facts['abstract']}")
    data = answer.data if proven else {"label": "unproven", "confidence": 0.0, "evidence": ""}
    return {**data, **answer.facts()}


def after_labelling(state: PaperState) -> Literal["find_use", "__end__"]:
    return "find_use" if state["label"] in ("method", "system", "resource") else "__end__"


async def find_use(state: PaperState) -> Update:
    answer = await ask(USE, **_facts(state), label=state["label"])
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(PaperState, input_schema=PaperInput, output_schema=PaperOutput)
    graph.add_node("label", label)
    graph.add_node("find_use", find_use)
    graph.add_edge(START, "label")
    graph.add_conditional_edges("label", after_labelling, ["find_use", END])
    graph.add_edge("find_use", END)
    return graph.compile(checkpointer=checkpointer, name="classify_paper")


graph = served(build_graph)
