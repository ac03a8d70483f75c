"""text_to_sql: a question about the platform's own work, as read-only SQL over views without secrets, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.http import SourceError
from fleet.kit.llm import ask
from fleet.kit.platform_sql import MOST_ROWS, VIEWS, check, run
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

WRITE = Prompt(
    name="text_to_sql.write",
    instruction="""Write one PostgreSQL SELECT over `views` (their columns are all there is) that answers the question: plain names
    without quotes, no comments, single quotes around texts. "cannot" when the views do not hold the answer, with the
    reason. `problem`, when given, says what was wrong with the `previous` query.""",
    schema=answer_object(
        decision=choice("query", "cannot"), sql=text(4000, min_length=0), explanation=text(400)
    ),
)


class SqlInput(TypedDict, total=False):
    question: str


class SqlOutput(ModelFacts, total=False):
    #: answered, cannot, refused (two queries were no good), or unanswered (the database is away).
    outcome: str
    sql: str
    explanation: str
    columns: list[str]
    #: At most 200; `truncated` says that there are more.
    rows: list[list[Any]]
    truncated: bool
    missing: Annotated[list[str], extend]
    partial: bool


class SqlState(SqlOutput, total=False):
    question: str
    decision: str
    problem: str
    tries: int


async def write(state: SqlState) -> Update:
    question = clean(state.get("question"), 1_000)
    if not question:
        raise LangGraphError("question: ask something", kind="client")
    views = {view: list(columns) for view, (_table, columns) in VIEWS.items()}
    repair = {"previous": state["sql"], "problem": state["problem"]} if state.get("problem") else {}
    answer = await ask(WRITE, question=question, views=views, **repair)
    data = answer.data
    return {
        **data,
        "outcome": "cannot",
        "tries": (state.get("tries") or 0) + 1 if repair else 1,
        "problem": check(data["sql"]) if data["decision"] == "query" else "",
        "rows": [],
        "columns": [],
        "partial": False,
        **answer.facts(),
    }


def after_writing(state: SqlState) -> Literal["query", "write", "refuse", "__end__"]:
    if state["decision"] == "cannot":
        return "__end__"
    return "query" if not state["problem"] else _after_problem(state)


async def query(state: SqlState) -> Update:
    try:
        columns, rows = await run(state["sql"])
    except ValueError as refusal:
        return {"problem": str(refusal)}
    except SourceError as failure:
        return {"outcome": "unanswered", "problem": "", "missing": [str(failure)], "partial": True}
    plain = [[_plain(value) for value in row] for row in rows[:MOST_ROWS]]
    found = {"columns": columns, "rows": plain, "truncated": len(rows) > MOST_ROWS}
    return {"outcome": "answered", "problem": "", **found}


def after_querying(state: SqlState) -> Literal["write", "refuse", "__end__"]:
    return _after_problem(state) if state["problem"] else "__end__"


def _after_problem(state: SqlState) -> Literal["write", "refuse"]:
    return "write" if state["tries"] < 2 else "refuse"


def refuse(state: SqlState) -> Update:
    return {"outcome": "refused", "explanation": f"The query cannot be run: {state['problem']}"}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(SqlState, input_schema=SqlInput, output_schema=SqlOutput)
    graph.add_node("write", write)
    graph.add_node("query", query)
    graph.add_node("refuse", refuse)
    graph.add_edge(START, "write")
    graph.add_conditional_edges("write", after_writing, ["query", "write", "refuse", END])
    graph.add_conditional_edges("query", after_querying, ["write", "refuse", END])
    graph.add_edge("refuse", END)
    return graph.compile(checkpointer=checkpointer, name="text_to_sql")


graph = served(build_graph)
