"""gh_lead_research: what a company shows on GitHub, whether that is a reason to talk, and to whom.

Reads the organisation, its recent repositories and their contributors. Whatever cannot be read is named in
`missing`; the rest of the result stays true without it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit import github
from fleet.kit.http import SourceError, connect
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MAX_REPOS, MAX_PEOPLE = 20, 10
REPOS_FOR_PEOPLE = 3

ASSESS = Prompt(
    name="gh_lead_research.assess",
    instruction="""Read what the organisation shows on GitHub as a sales signal: "pursue" when it builds in the open now
    and there is something concrete to talk about, "watch" when it did in the past, "skip" when there is nothing to go
    on. List the signals, and give one factual hook for a first conversation ("" when there is none).""",
    schema=answer_object(
        verdict=choice("pursue", "watch", "skip"), signals=texts(), hook=text(400, min_length=0)
    ),
)


class ResearchInput(TypedDict, total=False):
    org: str
    max_repos: int
    max_people: int


class ResearchOutput(ModelFacts, total=False):
    company: dict[str, Any]
    repos: list[dict[str, Any]]
    people: list[dict[str, Any]]
    #: pursue, watch, skip, or unknown when GitHub could not be read.
    verdict: str
    signals: list[str]
    hook: str
    missing: Annotated[list[str], extend]
    partial: bool


class ResearchState(ResearchOutput, total=False):
    org: str
    max_repos: int
    max_people: int


async def read_company(state: ResearchState) -> Update:
    login = github.login_of(state.get("org"))
    if not login:
        raise LangGraphError("org: give the name or address of a GitHub organisation", kind="client")
    found = {"org": login, "company": {}, "repos": [], "people": [], "verdict": "unknown"}
    try:
        async with connect(github.source()) as session:
            company = await github.organisation(session, login)
    except SourceError as failure:
        reason = f"knows no organisation or user {login}" if failure.status == 404 else failure.reason
        return {**found, "missing": [f"GitHub {reason}"], "partial": True}
    return {**found, "company": company, "missing": [], "partial": False}


def after_company(state: ResearchState) -> str:
    return "read_repos" if state["company"] else "__end__"


async def read_repos(state: ResearchState) -> Update:
    limit = _within(state.get("max_repos"), MAX_REPOS, default=8)
    try:
        async with connect(github.source()) as session:
            repos = await github.repositories(session, state["org"], limit)
    except SourceError as failure:
        return {"missing": [f"repositories: GitHub {failure.reason}"], "partial": True}
    return {"repos": repos}


async def assess(state: ResearchState) -> Update:
    answer = await ask(ASSESS, company=state["company"], repos=state["repos"], missing=state["missing"])
    data = answer.data
    return {"verdict": data["verdict"], "signals": data["signals"], "hook": data["hook"], **answer.facts()}


def after_assessing(state: ResearchState) -> str:
    return "find_people" if state["verdict"] == "pursue" and state["repos"] else "__end__"


async def find_people(state: ResearchState) -> Update:
    """Those who commit most to the liveliest repositories, with what their public profile says."""
    limit = _within(state.get("max_people"), MAX_PEOPLE, default=5)
    missing: list[str] = []
    async with connect(github.source()) as session:

        async def of_repo(full_name: str) -> list[dict[str, Any]]:
            try:
                found = await github.contributors(session, full_name, limit)
            except SourceError as failure:
                missing.append(f"contributors of {full_name}: GitHub {failure.reason}")
                return []
            return [{**one, "repo": full_name} for one in found]

        async def profile(one: dict[str, Any]) -> dict[str, Any]:
            try:
                return {**one, **await github.person(session, one["login"])}
            except SourceError as failure:
                missing.append(f"profile of {one['login']}: GitHub {failure.reason}")
                return one

        repos = [repo["full_name"] for repo in state["repos"][:REPOS_FOR_PEOPLE]]
        by_repo = await asyncio.gather(*map(of_repo, repos))
        people = await asyncio.gather(*map(profile, _most_active(by_repo, limit)))
    return {"people": list(people), "missing": sorted(missing), "partial": state["partial"] or bool(missing)}


def _most_active(by_repo: list[list[dict[str, Any]]], limit: int) -> list[dict[str, Any]]:
    """One entry a person, commits summed over repositories, `repo` being where they commit most."""
    people: dict[str, dict[str, Any]] = {}
    for one in sorted((one for found in by_repo for one in found), key=lambda one: -one["commits"]):
        known = people.setdefault(one["login"], {**one, "commits": 0})
        known["commits"] += one["commits"]
    return sorted(people.values(), key=lambda one: (-one["commits"], one["login"]))[:limit]


def _within(value: Any, most: int, *, default: int) -> int:
    return max(1, min(most, value)) if isinstance(value, int) else default


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ResearchState, input_schema=ResearchInput, output_schema=ResearchOutput)
    graph.add_node("read_company", read_company)
    graph.add_node("read_repos", read_repos)
    graph.add_node("assess", assess)
    graph.add_node("find_people", find_people)
    graph.add_edge(START, "read_company")
    graph.add_conditional_edges("read_company", after_company, ["read_repos", END])
    graph.add_edge("read_repos", "assess")
    graph.add_conditional_edges("assess", after_assessing, ["find_people", END])
    graph.add_edge("find_people", END)
    return graph.compile(checkpointer=checkpointer, name="gh_lead_research")


graph = served(build_graph)
