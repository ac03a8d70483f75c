"""competitors_team: one member names the competitors, one studies each of them at the same time, one compares.

A competitor that cannot be read is named and the others are still compared.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.evidence import Evidence, collect, found_in, from_search, from_website, given, numbered
from fleet.kit.llm import ask
from fleet.kit.names import same_company
from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MOST_STUDIED = 6

NAME = Prompt(
    name="competitors_team.name",
    instruction="""List the competitors of the company that the texts name, each with its website when a text shows it ("" otherwise).
    Leave out customers, partners and the company itself.""",
    schema=answer_object(
        competitors={
            "type": "array",
            "items": answer_object(name=text(120), website=text(300, min_length=0)),
            "maxItems": 12,
        }
    ),
)
STUDY = Prompt(
    name="competitors_team.study",
    instruction="""From the texts about the competitor: "direct" when it sells the same to the same buyers as the company, "indirect"
    when one of both differs, "none" when neither agrees or nothing tells. Strengths are quotes, word for word.""",
    schema=answer_object(overlap=choice("direct", "indirect", "none"), strengths=texts(5, 300)),
)
COMPARE = Prompt(
    name="competitors_team.compare",
    instruction="""Some competitors are direct. From what was found, say in two sentences where the company stands, and which question
    to a buyer brings out its difference.""",
    schema=answer_object(standing=text(500), question=text(250)),
)


class TeamInput(TypedDict, total=False):
    company: dict[str, Any]
    #: Known ones: `name`, `website`, `description`, `facts`.
    competitors: list[dict[str, Any]]
    texts: list[str]


class TeamOutput(ModelFacts, total=False):
    #: One a competitor: `name`, `website`, `overlap` (direct, indirect, none, unknown), `strengths`.
    studied: Annotated[list[dict[str, Any]], operator.add]
    standing: str
    question: str
    missing: Annotated[list[str], extend]
    partial: bool


class TeamState(TeamOutput, total=False):
    company: dict[str, Any]
    competitors: list[dict[str, Any]]
    texts: list[str]
    evidence: list[Evidence]


class MemberState(TypedDict, total=False):
    """What one member of the team is sent."""

    company: dict[str, Any]
    competitor: dict[str, Any]
    evidence: list[Evidence]


async def gather(state: TeamState) -> Update:
    """With competitors given there is nothing to look for."""
    company = section(state.get("company"))
    name = clean(company.get("name"), 120)
    if not name:
        raise LangGraphError("company.name: give the company's name", kind="client")
    known = given(company, state.get("texts") or [])
    readers = [] if state.get("competitors") else [from_search(f"{name} competitors alternatives")]
    read, missing = await collect(*readers)
    return {
        "studied": [],
        "evidence": numbered([*known, *read]),
        "missing": missing,
        "partial": bool(missing),
    }


def after_gathering(state: TeamState) -> Any:
    if state.get("competitors"):
        return to_members(state)
    return "name_competitors" if state["evidence"] else "__end__"


async def name_competitors(state: TeamState) -> Update:
    """Only names that stand in a text, each company once, and never the company itself."""
    company = section(state.get("company"))
    answer = await ask(NAME, company=company, evidence=state["evidence"])
    named: list[dict[str, Any]] = []
    for one in answer.data["competitors"]:
        known = [clean(company.get("name"), 120), *(other["name"] for other in named)]
        if found_in(one["name"], state["evidence"]) and not any(
            same_company(one["name"], name) for name in known
        ):
            named.append(one)
    return {"competitors": named, **answer.facts()}


def to_members(state: TeamState) -> Any:
    """One member a competitor, all at the same time."""
    from langgraph.types import Send

    shared = {"company": section(state.get("company")), "evidence": state["evidence"]}
    chosen = (state.get("competitors") or [])[:MOST_STUDIED]
    return [Send("study_one", {**shared, "competitor": one}) for one in chosen] or "__end__"


async def study_one(state: MemberState) -> Update:
    competitor = state["competitor"]
    name, website = clean(competitor.get("name"), 120), clean(competitor.get("website"), 300)
    known = given(competitor, [])
    readers = (
        [from_website(website)] if website else [] if known else [from_search(f"{name} product customers")]
    )
    read, missing = await collect(*readers)
    about = [one for one in state["evidence"] if name and found_in(name, [one])]
    evidence = numbered([*known, *read, *about])
    result: dict[str, Any] = {"name": name, "website": website, "overlap": "unknown", "strengths": []}
    gaps = [f"{name}: {one}" for one in missing]
    if not evidence:
        return {"studied": [result], "missing": gaps}
    try:
        answer = await ask(STUDY, company=state["company"], competitor=competitor, evidence=evidence)
    except LangGraphError as failure:
        gaps.append(f"{name}: {str(failure)[:200]}")
        return {"studied": [result], "missing": gaps}
    strengths = [quote for quote in answer.data["strengths"] if found_in(quote, evidence)]
    result |= {"overlap": answer.data["overlap"], "strengths": strengths}
    return {"studied": [result], "missing": gaps, **answer.facts()}


def collect_work(state: TeamState) -> Update:
    """Members run at the same time and write no single value; this one does."""
    return {"partial": bool(state["missing"])}


def after_collecting(state: TeamState) -> str:
    direct = any(one["overlap"] == "direct" for one in state["studied"])
    return "compare" if direct else "__end__"


async def compare(state: TeamState) -> Update:
    answer = await ask(COMPARE, company=section(state.get("company")), studied=state["studied"])
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(TeamState, input_schema=TeamInput, output_schema=TeamOutput)
    graph.add_node("gather", gather)
    graph.add_node("name_competitors", name_competitors)
    graph.add_node("study_one", study_one)
    graph.add_node("collect_work", collect_work)
    graph.add_node("compare", compare)
    graph.add_edge(START, "gather")
    graph.add_conditional_edges("gather", after_gathering, ["name_competitors", "study_one", END])
    graph.add_conditional_edges("name_competitors", to_members, ["study_one", END])
    graph.add_edge("study_one", "collect_work")
    graph.add_conditional_edges("collect_work", after_collecting, ["compare", END])
    graph.add_edge("compare", END)
    return graph.compile(checkpointer=checkpointer, name="competitors_team")


graph = served(build_graph)
