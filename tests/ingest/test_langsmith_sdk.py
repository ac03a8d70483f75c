"""The unmodified LangSmith SDK traces into us and reads back what it sent."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import interrupt
from langsmith.run_helpers import get_current_run_tree, traceable, tracing_context

from traces_app.ingest.lift import tells_of_failure
from traces_app.store import reader

from .conftest import INGEST_KEY, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

pytestmark = pytest.mark.processes


@pytest.fixture
def client(server: Server) -> Iterator[langsmith.Client]:
    one = langsmith.Client(api_url=server.langsmith, api_key=INGEST_KEY)
    yield one
    one.cleanup()


def traced(client: langsmith.Client, project: str) -> str:
    """Run a chain with an llm call and a failing tool; returns the trace id."""

    @traceable(run_type="llm", metadata={"ls_model_name": "gpt-4o-mini", "ls_provider": "openai"})
    def model(prompt: str) -> dict[str, object]:
        return {
            "text": "hello",
            "usage_metadata": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150},
        }

    @traceable(run_type="tool")
    def tool() -> None:
        raise ValueError("tool broke")

    @traceable(tags=["outer"], metadata={"langgraph.assistant_id": "email_compose", "agentic.pool": "EMAIL"})
    def chain(question: str) -> str:
        model(question)
        with pytest.raises(ValueError, match="tool broke"):
            tool()
        tree = get_current_run_tree()
        assert tree is not None
        return str(tree.trace_id)

    with tracing_context(enabled=True, client=client, project_name=project):
        trace_id = chain("why?")
    client.flush()
    return trace_id


def test_runs_come_back_as_the_sdk_sent_them(client: langsmith.Client, cur: psycopg.Cursor) -> None:
    trace_id = traced(client, "sdk-project")

    runs = {run.name: run for run in reader.load_runs(cur, [trace_id])}
    assert set(runs) == {"chain", "model", "tool"}
    chain, model, tool = runs["chain"], runs["model"], runs["tool"]
    assert (chain.status, chain.assistant_id, chain.pool) == ("ok", "email_compose", "EMAIL")
    assert chain.tags == ("outer",)
    assert model.parent_run_id == tool.parent_run_id == chain.run_id
    assert (model.run_type, model.model, model.total_tokens) == ("llm", "gpt-4o-mini", 150)
    assert (model.start, model.end) != (None, None)
    assert tool.status == "error"
    assert "tool broke" in (tool.error or "")
    payload = reader.load_payload(cur, model.run_id)
    assert payload is not None
    assert payload.inputs == {"prompt": "why?"}
    assert payload.outputs["text"] == "hello"
    assert set(reader.traces_of(cur, [tool.run_id])) == {trace_id}


def test_a_graph_that_waits_for_somebody_has_not_failed(
    client: langsmith.Client, cur: psycopg.Cursor
) -> None:
    def ask(state: dict[str, str]) -> dict[str, str]:
        return {"answer": interrupt("which day?")}

    graph: Any = StateGraph(dict)
    graph.add_node("ask", ask)
    graph.set_entry_point("ask")
    config: Any = {"configurable": {"thread_id": "1"}, "run_id": uuid.uuid4()}
    with tracing_context(enabled=True, client=client, project_name="sdk-waits"):
        graph.compile(checkpointer=InMemorySaver()).invoke({}, config)
    client.flush()
    runs = {run.name: run for run in reader.load_runs(cur, [str(config["run_id"])])}
    assert {run.status for run in runs.values()} == {"ok"}
    assert "which day?" in (runs["ask"].error or "")


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ("GraphInterrupt((Interrupt(value='x'),))Traceback …", False),
        ("langgraph.errors.GraphInterrupt: (Interrupt(value='x'),)", False),
        ("ParentCommand(Command())", False),
        ("ValueError('GraphInterrupt')", True),
        ("GraphInterrupted", True),
        ("", True),
    ],
)
def test_what_an_error_tells(error: str, failed: bool) -> None:
    assert tells_of_failure(error) is failed


def test_head_and_rollups_are_exact(client: langsmith.Client, cur: psycopg.Cursor) -> None:
    trace_id = traced(client, "sdk-heads")

    cur.execute(
        "SELECT name, status, runs, open_runs, errors, llm_runs, total_tokens, project, assistant_id, tags"
        " FROM traces_app_tracehead WHERE trace_id = %s",
        (trace_id,),
    )
    assert cur.fetchall() == [("chain", 1, 3, 0, 1, 1, 150, "sdk-heads", "email_compose", ["outer"])]
    cur.execute(
        "SELECT kind, sum(runs), sum(errors), sum(total_tokens) FROM traces_app_rollup GROUP BY 1 ORDER BY 1"
    )
    assert cur.fetchall() == [("llm", 1, 0, 150), ("root", 1, 0, 0), ("tool", 1, 1, 0)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's own, of calls that people still use
def test_the_sdk_reads_runs_projects_and_feedback(client: langsmith.Client) -> None:
    trace_id = traced(client, "sdk-reads")

    run = client.read_run(trace_id)
    assert (run.name, str(run.trace_id)) == ("chain", trace_id)
    project = client.read_project(project_name="sdk-reads")
    listed = list(client.list_runs(project_id=project.id))
    of_trace = list(client.list_runs(trace_id=trace_id))
    assert {r.name for r in listed} == {r.name for r in of_trace} == {"chain", "model", "tool"}

    key = f"helpful-{uuid.uuid4().hex[:6]}"
    client.create_feedback(run.id, key, score=1, comment="good", trace_id=trace_id, session_id=project.id)
    client.flush()
    kept = [f for f in client.list_feedback(run_ids=[run.id]) if f.key == key]
    assert [(f.score, f.comment) for f in kept] == [(1.0, "good")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_attachments_are_stored_and_served(
    client: langsmith.Client, cur: psycopg.Cursor, server: Server
) -> None:
    import httpx

    run_id = uuid.uuid4()
    client.create_run(
        "with file", {"a": 1}, "chain", id=run_id, trace_id=run_id, dotted_order=f"20261122T120000000000Z{run_id}",
        project_name="sdk-files", attachments={"notes": ("text/plain", b"some notes")},
        start_time=__import__("datetime").datetime(2026, 11, 22, 12, tzinfo=__import__("datetime").UTC),
    )  # fmt: skip
    client.flush()
    assert reader.load_attachment(cur, str(run_id), "notes") == ("text/plain", b"some notes")
    served = httpx.get(
        f"{server.langsmith}/runs/{run_id}/attachments/notes", headers={"x-api-key": INGEST_KEY}
    )
    assert served.content == b"some notes"
    (found,) = (client.read_run(run_id).attachments or {}).items()
    assert (found[0], found[1]["reader"].read()) == ("notes", b"some notes")
    address = f"{server.langsmith}{found[1]['presigned_url']}"
    for other in (
        address[:-1] + "x",
        address.replace("until=", "until=9"),
        address.partition("?")[0],
        address.replace("/notes", "/other"),
    ):
        assert httpx.get(other).status_code == 401, other
