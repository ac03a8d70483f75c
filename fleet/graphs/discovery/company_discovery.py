"""company_discovery: companies that may fit a customer profile, from a search of the web."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from fleet.kit.hunt import SCREENING, Hunt, HuntState, build_hunt, plan_schema, screen_schema
from fleet.kit.prompts import Prompt
from fleet.kit.serve import served

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

PLAN = Prompt(
    name="company_discovery.plan",
    instruction="""Write up to four web searches that find home pages of companies with this profile. Words such companies use about
    themselves work better than words about the search. Leave out what was `tried`.""",
    schema=plan_schema(),
)
SCREEN = Prompt(
    name="company_discovery.screen",
    instruction=f"""Keep home pages of single companies that may fit the profile; leave out lists, news, directories and job boards.
    {SCREENING}""",
    schema=screen_schema(),
)


class CompanyInput(TypedDict, total=False):
    profile: dict[str, Any]
    like: list[str]


class CompanyState(HuntState, total=False):
    profile: dict[str, Any]
    like: list[str]


async def search(query: str) -> list[dict[str, Any]]:
    from fleet.kit import brave

    return await brave.search(query, 15)


HUNT = Hunt(
    name="company_discovery",
    plan=PLAN,
    screen=SCREEN,
    search=search,
    state=CompanyState,
    input=CompanyInput,
    fields=("profile", "like"),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_hunt(HUNT, checkpointer)


graph = served(build_graph)
