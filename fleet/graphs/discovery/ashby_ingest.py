"""ashby_ingest: a company's job board as data, and what its hiring says to someone who sells to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit import ashby
from fleet.kit.http import SourceError
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, clean_list

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Jobs a model is shown; a board of hundreds is told by its counts.
MOST_SHOWN = 60

READ = Prompt(
    name="ashby_ingest.read",
    instruction="""Read what the open jobs say about where the company is heading: "building" when it builds a team for `interest`
    (or for something new, when none is given), "steady" when it replaces and rounds off, "quiet" when there is nothing.
    `jobs` are the numbers of the jobs that show it.""",
    schema=answer_object(
        signal=choice("building", "steady", "quiet"),
        jobs={"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 20},
        why=text(300),
    ),
)
OPENING = Prompt(
    name="ashby_ingest.opening",
    instruction="""From the jobs that show it, write the one sentence with which to open a conversation, naming one job by its
    title, and the role inside the company that most likely owns this hiring.""",
    schema=answer_object(opening=text(300), owner=text(120)),
)


class BoardInput(TypedDict, total=False):
    board: str
    interest: list[str]


class BoardOutput(ModelFacts, total=False):
    board: str
    jobs: list[dict[str, Any]]
    #: Jobs by department and by country.
    counts: dict[str, dict[str, int]]
    #: building, steady, quiet, or unknown when the board could not be read.
    signal: str
    why: str
    #: Titles of the jobs that show it.
    shown_by: list[str]
    opening: str
    owner: str
    missing: Annotated[list[str], extend]
    partial: bool


class BoardState(BoardOutput, total=False):
    interest: list[str]


async def fetch(state: BoardState) -> Update:
    board = ashby.board_of(state.get("board"))
    if not board:
        raise LangGraphError("board: give the name or address of a board on jobs.ashbyhq.com", kind="client")
    start: Update = {"board": board, "jobs": [], "counts": {}, "signal": "unknown", "shown_by": []}
    try:
        jobs = await ashby.jobs(board)
    except SourceError as failure:
        reason = f"has no board {board}" if failure.status == 404 else failure.reason
        return {**start, "missing": [f"Ashby {reason}"], "partial": True}
    counts = {
        field: dict(Counter(job[field] for job in jobs if job[field]).most_common(20))
        for field in ("department", "country")
    }
    return {**start, "jobs": jobs, "counts": counts, "missing": [], "partial": False}


def after_fetching(state: BoardState) -> Literal["read", "__end__"]:
    return "__end__" if state["partial"] else "read"


async def read(state: BoardState) -> Update:
    shown = [
        {"number": n, **{key: job[key] for key in ("title", "department", "team", "location", "published")}}
        for n, job in enumerate(state["jobs"][:MOST_SHOWN], 1)
    ]
    interest = clean_list(state.get("interest") or [])
    answer = await ask(READ, board=state["board"], jobs=shown, counts=state["counts"], interest=interest)
    titles = [shown[n - 1]["title"] for n in dict.fromkeys(answer.data["jobs"]) if n <= len(shown)]
    signal = answer.data["signal"] if titles or answer.data["signal"] != "building" else "steady"
    return {"signal": signal, "why": clean(answer.data["why"]), "shown_by": titles, **answer.facts()}


def after_reading(state: BoardState) -> Literal["write_opening", "__end__"]:
    return "write_opening" if state["signal"] == "building" else "__end__"


async def write_opening(state: BoardState) -> Update:
    answer = await ask(OPENING, board=state["board"], jobs=state["shown_by"])
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(BoardState, input_schema=BoardInput, output_schema=BoardOutput)
    graph.add_node("fetch", fetch)
    graph.add_node("read", read)
    graph.add_node("write_opening", write_opening)
    graph.add_edge(START, "fetch")
    graph.add_conditional_edges("fetch", after_fetching, ["read", END])
    graph.add_conditional_edges("read", after_reading, ["write_opening", END])
    graph.add_edge("write_opening", END)
    return graph.compile(checkpointer=checkpointer, name="ashby_ingest")


graph = served(build_graph)
