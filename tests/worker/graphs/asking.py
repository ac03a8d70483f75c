"""Test graphs: one that asks, one of two slow steps, one that keeps nothing, one that talks."""

from __future__ import annotations

import asyncio
import operator
from itertools import pairwise
from typing import Annotated, Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class AskState(TypedDict, total=False):
    x: int
    answer: str


class StepState(TypedDict, total=False):
    x: int
    sleep: float
    done: Annotated[list[str], operator.add]


def build_asking(checkpointer: Any = None) -> Any:
    def ask(state: AskState) -> AskState:
        return {"answer": interrupt({"question": f"is {state['x']} right?"})}

    return _chain(AskState, ask).compile(checkpointer=checkpointer)


def build_steps(checkpointer: Any = None) -> Any:
    async def first(state: StepState) -> dict[str, Any]:
        return {"done": ["first"]}

    async def second(state: StepState) -> dict[str, Any]:
        await asyncio.sleep(state.get("sleep", 0))
        return {"done": ["second"]}

    return _chain(StepState, first, second).compile(checkpointer=checkpointer)


def build_talking(checkpointer: Any = None) -> Any:
    async def talk(state: MessagesState) -> dict[str, Any]:
        model = GenericFakeChatModel(messages=iter([AIMessage("good morning to you")]))
        return {"messages": [await model.ainvoke(state["messages"])]}

    return _chain(MessagesState, talk).compile(checkpointer=checkpointer)


def _chain(state: type, *nodes: Any) -> Any:
    graph: Any = StateGraph(state)
    names = [START, *(node.__name__ for node in nodes), END]
    for node in nodes:
        graph.add_node(node.__name__, node)
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph


asking = build_asking()
steps = build_steps()
talking = build_talking()
