"""gh_patterns: how a company builds software, read from the files and the rhythm of its repositories on GitHub."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit import github
from fleet.kit.http import Session, SourceError, connect
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MOST_REPOS = 8
#: File or folder at the top of a repository → the practice it shows.
SIGNS = {
    ".github": "GitHub Actions",
    ".gitlab-ci.yml": "GitLab CI",
    "Dockerfile": "containers",
    "docker-compose.yml": "containers",
    "helm": "Kubernetes",
    "k8s": "Kubernetes",
    "terraform": "Terraform",
    "tests": "tests",
    "test": "tests",
    "docs": "documentation",
    "langgraph.json": "LangGraph",
    "pyproject.toml": "modern Python packaging",
    "pnpm-workspace.yaml": "monorepo",
    "turbo.json": "monorepo",
    ".pre-commit-config.yaml": "pre-commit checks",
    "SECURITY.md": "security policy",
    "CONTRIBUTING.md": "outside contributors wanted",
    "renovate.json": "automatic updates",
}

READ = Prompt(
    name="gh_patterns.read",
    instruction="""From languages, practices and rhythm of the repositories: "consistent" when most share one way of building,
    "mixed" when teams build in different ways, "bare" when there is too little to see. `patterns` are what recurs, each
    with how often.""",
    schema=answer_object(verdict=choice("consistent", "mixed", "bare"), patterns=texts(8, 200)),
)
GAPS = Prompt(
    name="gh_patterns.gaps",
    instruction="""One way of building recurs. Name the practices that most of its repositories lack although their kind
    usually has them, each with the number of repositories.""",
    schema=answer_object(gaps=texts(6, 200)),
)
TEAMS = Prompt(
    name="gh_patterns.teams",
    instruction="""Teams build in different ways. Group the repositories by how they are built, each group in one sentence with
    the names of its repositories.""",
    schema=answer_object(groups=texts(6, 300)),
)


class PatternsInput(TypedDict, total=False):
    org: str


class PatternsOutput(ModelFacts, total=False):
    org: str
    #: One a repository: `name`, `language`, `days_since_push`, `practices`.
    repos: list[dict[str, Any]]
    #: Practice or language → number of repositories.
    counts: dict[str, int]
    #: consistent, mixed, bare, or unknown when GitHub could not be read.
    verdict: str
    patterns: list[str]
    gaps: list[str]
    groups: list[str]
    missing: Annotated[list[str], extend]
    partial: bool


class PatternsState(PatternsOutput, total=False):
    """Input, output and state in one."""


async def read_repos(state: PatternsState) -> Update:
    login = github.login_of(state.get("org"))
    if not login:
        raise LangGraphError("org: give the name or address of a GitHub organisation", kind="client")
    start: Update = {"org": login, "repos": [], "counts": {}, "verdict": "unknown"}
    missing: list[str] = []
    try:
        async with connect(github.source()) as session:
            found = await github.repositories(session, login, MOST_REPOS)
            repos = await asyncio.gather(*(_with_practices(session, repo, missing) for repo in found))
    except SourceError as failure:
        reason = f"knows no organisation or user {login}" if failure.status == 404 else failure.reason
        return {**start, "missing": [f"GitHub {reason}"], "partial": True}
    seen = [sign for repo in repos for sign in (*repo["practices"], repo["language"]) if sign]
    counts = dict(Counter(seen).most_common())
    return {
        **start,
        "repos": list(repos),
        "counts": counts,
        "missing": sorted(missing),
        "partial": bool(missing),
    }


async def _with_practices(session: Session, repo: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    known = {key: repo[key] for key in ("name", "language", "days_since_push")}
    try:
        files = await github.top_level(session, repo["full_name"])
    except SourceError as failure:
        missing.append(f"files of {repo['full_name']}: GitHub {failure.reason}")
        return {**known, "practices": []}
    return {**known, "practices": sorted({SIGNS[name] for name in files if name in SIGNS})}


def after_reading(state: PatternsState) -> Literal["find_patterns", "__end__"]:
    return "find_patterns" if state["repos"] else "__end__"


async def find_patterns(state: PatternsState) -> Update:
    answer = await ask(READ, repos=state["repos"], counts=state["counts"])
    return {**answer.data, **answer.facts()}


def after_patterns(state: PatternsState) -> Literal["find_gaps", "group_repos", "__end__"]:
    match state["verdict"]:
        case "consistent":
            return "find_gaps"
        case "mixed":
            return "group_repos"
        case _:
            return "__end__"


async def find_gaps(state: PatternsState) -> Update:
    answer = await ask(GAPS, repos=state["repos"], counts=state["counts"])
    return {**answer.data, **answer.facts()}


async def group_repos(state: PatternsState) -> Update:
    answer = await ask(TEAMS, repos=state["repos"])
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(PatternsState, input_schema=PatternsInput, output_schema=PatternsOutput)
    graph.add_node("read_repos", read_repos)
    graph.add_node("find_patterns", find_patterns)
    graph.add_node("find_gaps", find_gaps)
    graph.add_node("group_repos", group_repos)
    graph.add_edge(START, "read_repos")
    graph.add_conditional_edges("read_repos", after_reading, ["find_patterns", END])
    graph.add_conditional_edges("find_patterns", after_patterns, ["find_gaps", "group_repos", END])
    graph.add_edge("find_gaps", END)
    graph.add_edge("group_repos", END)
    return graph.compile(checkpointer=checkpointer, name="gh_patterns")


graph = served(build_graph)
