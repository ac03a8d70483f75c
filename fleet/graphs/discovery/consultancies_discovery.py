"""consultancies_discovery: consultancies in a field and a region that could sell beside us, from a search of the web."""

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
    name="consultancies_discovery.plan",
    instruction="""Write up to four web searches that find consultancies for `field` in `region`. Leave out what was `tried`.""",
    schema=plan_schema(),
)
SCREEN = Prompt(
    name="consultancies_discovery.screen",
    instruction=f"""Keep home pages of single consultancies that work in the field; leave out lists, directories and product companies.
    {SCREENING}""",
    schema=screen_schema(),
)


class ConsultancyInput(TypedDict, total=False):
    field: str
    region: str


class ConsultancyState(HuntState, total=False):
    field: str
    region: str


async def search(query: str) -> list[dict[str, Any]]:
    from fleet.kit import brave

    return await brave.search(query, 15)


HUNT = Hunt(
    name="consultancies_discovery",
    plan=PLAN,
    screen=SCREEN,
    search=search,
    state=ConsultancyState,
    input=ConsultancyInput,
    fields=("field", "region"),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_hunt(HUNT, checkpointer)


graph = served(build_graph)
