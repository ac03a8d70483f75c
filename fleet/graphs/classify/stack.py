"""extract_stack: which technologies a company uses, each with the words that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.evidence import stands_in
from fleet.kit.http import SourceError
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean
from fleet.kit.website import read_page

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

CATEGORIES = ("language", "framework", "database", "cloud", "data", "ai", "tool")
_TECHNOLOGY = answer_object(name=text(60), category=choice(*CATEGORIES), evidence=text(300))

EXTRACT = Prompt(
    name="extract_stack.extract",
    instruction="""List the technologies that the text shows in use or asks candidates for. `evidence` is a short quote,
    word for word. Put names that may mean something else here (Go, R, Spark, Swift …) into `unsure` instead, unless
    the text leaves no doubt.""",
    schema=answer_object(
        technologies={"type": "array", "items": _TECHNOLOGY, "maxItems": 60}, unsure=texts(12, 60)
    ),
)
SETTLE = Prompt(
    name="extract_stack.settle",
    instruction="""Decide for each name in `unsure` whether the text means the technology. Return only those it does, with a
    short quote that shows it, word for word.""",
    schema=answer_object(technologies={"type": "array", "items": _TECHNOLOGY, "maxItems": 12}),
)


class StackInput(TypedDict, total=False):
    text: str
    website: str


class StackOutput(ModelFacts, total=False):
    #: `name`, `category`, `evidence`; the evidence stands in the text.
    technologies: list[dict[str, str]]
    #: Names a model gave without a quote that stands in the text.
    rejected: list[str]
    missing: Annotated[list[str], extend]
    partial: bool


class StackState(StackOutput, total=False):
    text: str
    website: str
    unsure: list[str]


async def read(state: StackState) -> Update:
    """Take the given text, else the website's."""
    start: Update = {"technologies": [], "rejected": [], "partial": False, "missing": []}
    if clean(state.get("text")):
        return start
    website = clean(state.get("website"), 2000)
    if not website:
        raise LangGraphError("text: give a text, or a website to read", kind="client")
    try:
        return {**start, "text": await read_page(website)}
    except SourceError as failure:
        return {**start, "text": "", "partial": True, "missing": [f"{website}: {failure.reason}"]}


def after_reading(state: StackState) -> Literal["extract", "__end__"]:
    return "extract" if state.get("text") else "__end__"


async def extract(state: StackState) -> Update:
    answer = await ask(EXTRACT, text=state["text"])
    proven, rejected = _proven(answer.data["technologies"], state["text"])
    return {"technologies": proven, "rejected": rejected, "unsure": answer.data["unsure"], **answer.facts()}


def after_extracting(state: StackState) -> Literal["settle", "__end__"]:
    return "settle" if state["unsure"] else "__end__"


async def settle(state: StackState) -> Update:
    answer = await ask(SETTLE, text=state["text"], unsure=state["unsure"])
    proven, rejected = _proven(answer.data["technologies"], state["text"])
    known = {one["name"].lower() for one in state["technologies"]}
    added = [one for one in proven if one["name"].lower() not in known]
    return {
        "technologies": state["technologies"] + added,
        "rejected": state["rejected"] + rejected,
        **answer.facts(),
    }


def _proven(found: list[dict[str, str]], text: str) -> tuple[list[dict[str, str]], list[str]]:
    """Each technology once, if its quote stands in the text; the names of the others."""
    proven = {one["name"].lower(): one for one in reversed(found) if stands_in(one["evidence"], text)}
    rejected = [one["name"] for one in found if one["name"].lower() not in proven]
    return list(reversed(proven.values())), rejected


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(StackState, input_schema=StackInput, output_schema=StackOutput)
    graph.add_node("read", read)
    graph.add_node("extract", extract)
    graph.add_node("settle", settle)
    graph.add_edge(START, "read")
    graph.add_conditional_edges("read", after_reading, ["extract", END])
    graph.add_conditional_edges("extract", after_extracting, ["settle", END])
    graph.add_edge("settle", END)
    return graph.compile(checkpointer=checkpointer, name="extract_stack")


graph = served(build_graph)
