"""lead_pipeline: from a company and a contact to a first e-mail, each step a graph in its own pool.

Every hop goes through the dispatcher, so it is routed, limited and traced like any other call. A hop that fails is
named in `missing` and the pipeline goes on with what is known; only the judgement decides whether a mail is written.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict

from fleet.kit.hop import call_graph
from fleet.kit.serve import served
from fleet.kit.state import Update, extend
from fleet.kit.text import clean, clean_list, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Seconds a hop may take. Research waits for GitHub, the others for a model.
RESEARCH_S, MODEL_S = 28.0, 120.0


class PipelineInput(TypedDict, total=False):
    company: dict[str, Any]
    contact: dict[str, Any]
    profile: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]


class PipelineOutput(TypedDict, total=False):
    #: composed, not_fit, needs_evidence, or incomplete when a needed hop failed.
    outcome: str
    company: dict[str, Any]
    research: dict[str, Any]
    judgement: dict[str, Any]
    email: dict[str, Any]
    #: One entry a call: assistant_id, ok, pool, run_id, request_id, or the error.
    hops: Annotated[list[dict[str, Any]], operator.add]
    missing: Annotated[list[str], extend]
    partial: bool


class PipelineState(PipelineOutput, total=False):
    contact: dict[str, Any]
    profile: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]


async def research(state: PipelineState) -> Update:
    """Look the company up on GitHub, and add what was found to what the caller gave."""
    company = section(state.get("company"))
    start = {
        "outcome": "incomplete",
        "partial": False,
        "research": {},
        "judgement": {},
        "email": {},
    }
    if not company.get("github"):
        return {**start, "company": company}
    found, hop, missing = await call_graph("gh_lead_research", {"org": company["github"]}, RESEARCH_S)
    missing += clean_list(found.get("missing"))
    return {
        **start,
        "company": _enriched(company, found),
        "research": found,
        "hops": [hop],
        "missing": missing,
        "partial": bool(missing),
    }


async def classify(state: PipelineState) -> Update:
    question = {"company": state["company"], "profile": section(state.get("profile"))}
    judgement, hop, missing = await call_graph("classify_company", question, MODEL_S)
    outcome = clean(judgement.get("verdict")) or "incomplete"
    return {
        "judgement": judgement,
        "outcome": outcome,
        "hops": [hop],
        "missing": missing,
        "partial": state["partial"] or bool(missing),
    }


def after_classifying(state: PipelineState) -> str:
    return "compose" if state["outcome"] == "fit" else "__end__"


async def compose(state: PipelineState) -> Update:
    parts = {key: section(state.get(key)) for key in ("contact", "company", "offer", "sender")}
    email, hop, missing = await call_graph("email_compose", parts, MODEL_S)
    return {
        "email": email,
        "outcome": "incomplete" if missing else "composed",
        "hops": [hop],
        "missing": missing,
        "partial": state["partial"] or bool(missing),
    }


def _enriched(company: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The caller's facts win; research fills gaps and adds its hook as one more fact."""
    profile = section(found.get("company"))
    gaps = {
        key: profile[key]
        for key in ("name", "description", "website")
        if profile.get(key) and not company.get(key)
    }
    facts = clean_list(clean_list(company.get("facts")) + clean_list(found.get("hook")))
    return {**company, **gaps, "facts": facts}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(PipelineState, input_schema=PipelineInput, output_schema=PipelineOutput)
    graph.add_node("research", research)
    graph.add_node("classify", classify)
    graph.add_node("compose", compose)
    graph.add_edge(START, "research")
    graph.add_edge("research", "classify")
    graph.add_conditional_edges("classify", after_classifying, ["compose", END])
    graph.add_edge("compose", END)
    return graph.compile(checkpointer=checkpointer, name="lead_pipeline")


graph = served(build_graph)
