"""score_lead: how promising is a lead, from 0 to 100, on four parts that can be checked one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.graphs.classify.company import DEFAULT_PROFILE
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, share, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Part → its share of the score. The model rates the parts; the sum is ours, so that scores can be compared.
WEIGHTS = {"fit": 0.40, "authority": 0.25, "timing": 0.20, "reachability": 0.15}
HOT_FROM, WARM_FROM = 70, 40

RATE = Prompt(
    name="score_lead.rate",
    instruction="""Rate the lead from 0 to 1 on each part: fit (company against the profile), authority (can this contact
    decide or champion), timing (is there a reason to act now among the signals), reachability (do we have a way to reach
    them). Rate what nothing is known of with 0. Give a reason for each rating in the same order.""",
    schema=answer_object(**{part: share() for part in WEIGHTS}, reasons=texts(4)),
)
NEXT = Prompt(
    name="score_lead.next",
    instruction="""The lead is hot. Say in one sentence what a sales person should do today, and which given fact to open
    with ("" when there is none).""",
    schema=answer_object(next_step=text(300), open_with=text(400, min_length=0)),
)
GAPS = Prompt(
    name="score_lead.gaps",
    instruction="""The lead is promising but not ready. List what to find out or wait for that would raise its score,
    the most valuable first.""",
    schema=answer_object(gaps=texts(5)),
)


class LeadInput(TypedDict, total=False):
    company: dict[str, Any]
    contact: dict[str, Any]
    profile: dict[str, Any]
    signals: list[str]


class LeadOutput(ModelFacts, total=False):
    score: int
    #: hot, warm or cold.
    tier: str
    parts: dict[str, float]
    reasons: list[str]
    next_step: str
    open_with: str
    gaps: list[str]


class LeadState(LeadOutput, total=False):
    company: dict[str, Any]
    contact: dict[str, Any]
    profile: dict[str, Any]
    signals: list[str]


def _facts(state: LeadState) -> dict[str, Any]:
    return {
        "company": state.get("company") or {},
        "contact": state.get("contact") or {},
        "profile": state.get("profile") or DEFAULT_PROFILE,
        "signals": state.get("signals") or [],
    }


async def rate(state: LeadState) -> Update:
    answer = await ask(RATE, **_facts(state))
    parts = {part: answer.data[part] for part in WEIGHTS}
    score = round(100 * sum(WEIGHTS[part] * rating for part, rating in parts.items()))
    return {
        "score": score,
        "tier": _tier(score, parts),
        "parts": parts,
        "reasons": answer.data["reasons"],
        **answer.facts(),
    }


def _tier(score: int, parts: dict[str, float]) -> str:
    """A company outside the profile is cold, however well its head can be reached."""
    if not parts["fit"] or score < WARM_FROM:
        return "cold"
    return "hot" if score >= HOT_FROM else "warm"


def after_rating(state: LeadState) -> Literal["plan_next", "list_gaps", "leave"]:
    match state["tier"]:
        case "hot":
            return "plan_next"
        case "warm":
            return "list_gaps"
        case _:
            return "leave"


async def plan_next(state: LeadState) -> Update:
    answer = await ask(NEXT, **_facts(state), parts=state["parts"])
    return {**answer.data, **answer.facts()}


async def list_gaps(state: LeadState) -> Update:
    answer = await ask(GAPS, **_facts(state), parts=state["parts"])
    return {"gaps": answer.data["gaps"], "next_step": "close the gaps, then score again", **answer.facts()}


def leave(state: LeadState) -> Update:
    return {"next_step": "leave it; score again when something changes"}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(LeadState, input_schema=LeadInput, output_schema=LeadOutput)
    graph.add_node("rate", rate)
    graph.add_node("plan_next", plan_next)
    graph.add_node("list_gaps", list_gaps)
    graph.add_node("leave", leave)
    graph.add_edge(START, "rate")
    graph.add_conditional_edges("rate", after_rating, ["plan_next", "list_gaps", "leave"])
    graph.add_edge("plan_next", END)
    graph.add_edge("list_gaps", END)
    graph.add_edge("leave", END)
    return graph.compile(checkpointer=checkpointer, name="score_lead")


graph = served(build_graph)
