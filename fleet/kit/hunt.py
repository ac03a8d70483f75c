"""The shape that hunts share: words to look with → search → screen what came → once more with other words, or done.

plan ─► search ─► screen ─ `widen`, once ─► plan_again ─► search
           │          └─ `enough` ─────────► end
           └─ nothing came ────────────────► end

A model picks among what a source returned and can add nothing to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fleet.kit.evidence import collect
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean_list

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MOST_QUERIES, MOST_HITS = 4, 60
State = dict[str, Any]
Node = Any


class HuntOutput(ModelFacts, total=False):
    #: What was searched for, in order.
    queries: Annotated[list[str], extend]
    #: What was picked, best first: the fields of the source, and `why`.
    candidates: list[dict[str, Any]]
    #: How many results were looked at.
    looked_at: int
    missing: Annotated[list[str], extend]
    partial: bool


class HuntState(HuntOutput, total=False):
    look_with: list[str]
    hits: list[dict[str, Any]]
    decision: str
    widened: bool


@dataclass(frozen=True, slots=True)
class Hunt:
    """What sets one hunt apart from the others."""

    name: str
    plan: Prompt
    screen: Prompt
    #: Results of one query, each with at least `title`, `url` and `text`. Raises SourceError.
    search: Callable[[str], Awaitable[list[dict[str, Any]]]]
    state: type
    input: type
    #: Fields of the input that the prompts see.
    fields: tuple[str, ...]
    output: type = HuntOutput
    limit: int = 10


def plan_schema() -> dict[str, Any]:
    return answer_object(queries={**texts(MOST_QUERIES, 200), "minItems": 1})


def screen_schema() -> dict[str, Any]:
    """Which hits to keep, by their number, and whether they are enough."""
    pick = answer_object(hit={"type": "integer", "minimum": 1}, why=text(300))
    picks = {"type": "array", "items": pick, "maxItems": MOST_HITS}
    return answer_object(picks=picks, decision=choice("enough", "widen"))


SCREENING = """`hits` are numbered results of a search. Pick those that fit, best first, with a reason from the result itself.
Answer "widen" when other words would likely find more that fit, else "enough"."""


def build_hunt(
    hunt: Hunt, checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph: StateGraph[Any, Any, Any, Any] = StateGraph(
        hunt.state, input_schema=hunt.input, output_schema=hunt.output
    )
    graph.add_node("plan", _plan(hunt))
    graph.add_node("search", _search(hunt))
    graph.add_node("screen", _screen(hunt))
    graph.add_node("plan_again", _plan_again(hunt))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "search")
    graph.add_conditional_edges("search", _after_searching, ["screen", END])
    graph.add_conditional_edges("screen", _after_screening, ["plan_again", END])
    graph.add_conditional_edges("plan_again", _after_planning_again, ["search", END])
    return graph.compile(checkpointer=checkpointer, name=hunt.name)


def _plan(hunt: Hunt) -> Node:
    async def plan(state: State) -> Update:
        answer = await ask(hunt.plan, **_facts(hunt, state), tried=[])
        start = {"hits": [], "candidates": [], "looked_at": 0, "widened": False, "partial": False}
        return {**start, "look_with": clean_list(answer.data["queries"]), "missing": [], **answer.facts()}

    return plan


def _plan_again(hunt: Hunt) -> Node:
    async def plan_again(state: State) -> Update:
        answer = await ask(hunt.plan, **_facts(hunt, state), tried=state["queries"])
        new = [query for query in clean_list(answer.data["queries"]) if query not in state["queries"]]
        return {"look_with": new, "widened": True, **answer.facts()}

    return plan_again


def _after_planning_again(state: State) -> str:
    return "search" if state["look_with"] else "__end__"


def _search(hunt: Hunt) -> Node:
    async def search(state: State) -> Update:
        found, missing = await collect(*(_as_hits(hunt, query) for query in state["look_with"]))
        hits = {key_of(hit): hit for hit in [*found, *state["hits"]][::-1]}
        kept = list(hits.values())[::-1][:MOST_HITS]
        return {
            "queries": state["look_with"],
            "hits": kept,
            "looked_at": len(kept),
            "missing": missing,
            "partial": state["partial"] or bool(missing),
        }

    return search


async def _as_hits(hunt: Hunt, query: str) -> list[Any]:
    return await hunt.search(query)


def _after_searching(state: State) -> str:
    return "screen" if state["hits"] else "__end__"


def _screen(hunt: Hunt) -> Node:
    async def screen(state: State) -> Update:
        hits = [{"hit": n, **hit} for n, hit in enumerate(state["hits"], 1)]
        answer = await ask(hunt.screen, **_facts(hunt, state), hits=hits)
        reasons = {pick["hit"]: pick["why"] for pick in reversed(answer.data["picks"])}
        order = dict.fromkeys(pick["hit"] for pick in answer.data["picks"] if pick["hit"] <= len(hits))
        candidates = [{**state["hits"][n - 1], "why": reasons[n]} for n in order][: hunt.limit]
        return {"candidates": candidates, "decision": answer.data["decision"], **answer.facts()}

    return screen


def _after_screening(state: State) -> str:
    return "plan_again" if state["decision"] == "widen" and not state["widened"] else "__end__"


def _facts(hunt: Hunt, state: State) -> dict[str, Any]:
    return {key: state.get(key) for key in hunt.fields if state.get(key)}


def key_of(hit: dict[str, Any]) -> str:
    """What makes two hits one: the site for a web page, the whole address where many share a site."""
    url = str(hit.get("url") or hit.get("title")).lower()
    site = re.sub(r"^https?://(?:www\.)?", "", url)
    shared = re.match(r"(?:youtube\.com|jobs\.ashbyhq\.com|github\.com|linkedin\.com|medium\.com)/", site)
    return site if shared else site.partition("/")[0]
