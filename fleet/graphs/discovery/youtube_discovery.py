"""youtube_discovery: videos in which people talk about a topic, with the channel behind each, as an occasion to talk."""

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
    name="youtube_discovery.plan",
    instruction="""Write up to four searches that find talks, interviews and demonstrations about `topic` by practitioners (in
    `industry` when it is given). Leave out what was `tried`.""",
    schema=plan_schema(),
)
SCREEN = Prompt(
    name="youtube_discovery.screen",
    instruction=f"""Keep videos in which someone from a company speaks about the topic; leave out news, music, courses and advertising.
    {SCREENING}""",
    schema=screen_schema(),
)


class VideoInput(TypedDict, total=False):
    topic: str
    industry: str


class VideoState(HuntState, total=False):
    topic: str
    industry: str


async def search(query: str) -> list[dict[str, Any]]:
    from fleet.kit import youtube

    return await youtube.search(query, 15)


HUNT = Hunt(
    name="youtube_discovery",
    plan=PLAN,
    screen=SCREEN,
    search=search,
    state=VideoState,
    input=VideoInput,
    fields=("topic", "industry"),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_hunt(HUNT, checkpointer)


graph = served(build_graph)
