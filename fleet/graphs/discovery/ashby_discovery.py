"""ashby_discovery: which companies hire for what one is looking for, from their public job boards on Ashby."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from fleet.kit import ashby
from fleet.kit.http import SourceError
from fleet.kit.hunt import SCREENING, Hunt, HuntState, build_hunt, plan_schema, screen_schema
from fleet.kit.prompts import Prompt
from fleet.kit.serve import served

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

PLAN = Prompt(
    name="ashby_discovery.plan",
    instruction="""`queries` are names of boards on Ashby, as in jobs.ashbyhq.com/<name>, for the given companies: the name itself, or
    how it would be written as one word. Leave out what was `tried`.""",
    schema=plan_schema(),
)
SCREEN = Prompt(
    name="ashby_discovery.screen",
    instruction=f"""Each hit is a board with the titles of its open jobs. Keep boards with jobs that fit `keywords`.
    {SCREENING}""",
    schema=screen_schema(),
)


class BoardInput(TypedDict, total=False):
    companies: list[str]
    keywords: list[str]


class BoardState(HuntState, total=False):
    companies: list[str]
    keywords: list[str]


async def search(query: str) -> list[dict[str, Any]]:
    """A board as one hit: who hires, for how many jobs, under which titles."""
    board = ashby.board_of(query)
    if not board:
        raise SourceError("Ashby", f"has no board of the name {query}")
    try:
        jobs = await ashby.jobs(board)
    except SourceError as failure:
        reason = f"has no board {board}" if failure.status == 404 else failure.reason
        raise SourceError("Ashby", reason, status=failure.status) from None
    text = "; ".join(job["title"] for job in jobs[:80])
    return [{"title": board, "url": f"https://jobs.ashbyhq.com/{board}", "text": text, "jobs": len(jobs)}]


HUNT = Hunt(
    name="ashby_discovery",
    plan=PLAN,
    screen=SCREEN,
    search=search,
    state=BoardState,
    input=BoardInput,
    fields=("companies", "keywords"),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_hunt(HUNT, checkpointer)


graph = served(build_graph)
