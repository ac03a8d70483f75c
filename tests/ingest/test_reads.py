"""What SDKs read back: queries with filters, the v2 API, shared runs, feedback and its tokens."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import langsmith
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces_app.ingest import langsmith_filter, langsmith_runs
from traces_app.ingest.http import RefusedError
from traces_app.rows import RunRow

from .conftest import CONFINED_KEY, INGEST_KEY, READ_KEY, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's own, of calls that people still use
]


def run(**given: Any) -> dict[str, Any]:
    run_id = str(uuid.uuid4())
    start = {"start_time": "2026-11-22T10:00:00Z", "end_time": "2026-11-22T10:00:02Z"}
    return {"id": run_id, "trace_id": run_id, "name": "n", "run_type": "chain", **start, **given}


@pytest.fixture
def trace(http: httpx.Client) -> list[dict[str, Any]]:
    """A root, an llm child and a failed tool, stored."""
    root = run(name="root", session_name="reads", tags=["outer"], extra={"metadata": {"tenant": "acme"}})
    inside = {"trace_id": root["id"], "parent_run_id": root["id"], "session_name": "reads"}
    usage = {"usage_metadata": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    runs = [
        root,
        run(name="model", run_type="llm", inputs={"q": 1}, outputs=usage, **inside),
        run(name="tool", run_type="tool", error="broke", **inside),
    ]
    assert http.post("/langsmith/runs/batch", json={"post": runs}).status_code == 202
    return runs


@pytest.fixture
def client(server: Server) -> Iterator[langsmith.Client]:
    one = langsmith.Client(api_url=server.langsmith, api_key=INGEST_KEY)
    yield one
    one.cleanup()


FILTERS = {
    'eq(run_type, "llm")': {"model"},
    'and(eq(status, "error"), eq(name, "tool"))': {"tool"},
    'or(eq(name, "root"), gt(total_tokens, 5))': {"root", "model"},
    'has(tags, "outer")': {"root"},
    'and(eq(metadata_key, "tenant"), eq(metadata_value, "acme"))': {"root"},
    "neq(error, null)": {"tool"},
    'gt(latency, "1s")': {"root", "model", "tool"},
    "gte(latency, 3)": set(),
    'not(in(name, ["root", "tool"]))': {"model"},
    'lt(start_time, "2026-11-23T00:00:00Z")': {"root", "model", "tool"},
    'search("brok")': {"tool"},
    'like(name, "%oo%")': {"root", "tool"},
}


@pytest.mark.parametrize("text", FILTERS)
def test_list_runs_filters(client: langsmith.Client, trace: list[dict[str, Any]], text: str) -> None:
    assert {r.name for r in client.list_runs(trace_id=trace[0]["id"], filter=text)} == FILTERS[text]


def test_filters_of_root_and_tree_and_fields(client: langsmith.Client, trace: list[dict[str, Any]]) -> None:
    project = client.read_project(project_name="reads")
    of_root = client.list_runs(project_id=project.id, trace_filter='eq(name, "root")', run_type="llm")
    assert [r.name for r in of_root] == ["model"]
    assert not list(client.list_runs(project_id=project.id, tree_filter='eq(name, "absent")'))
    (only,) = client.list_runs(run_ids=[trace[1]["id"]], select=["inputs"])
    assert (only.inputs, only.total_tokens) == ({"q": 1}, None)


def test_an_attachment_of_any_name_opens_at_the_address_its_run_names(server: Server) -> None:
    run_id, names = uuid.uuid4(), ("notes", "a/b", "50%25", "ü & b?")
    client = langsmith.Client(api_url=server.langsmith, api_key=INGEST_KEY)
    client.create_run(
        "files", {}, "chain", id=run_id, trace_id=run_id, dotted_order=f"20261122T120000000000Z{run_id}",
        start_time=datetime(2026, 11, 22, 12, tzinfo=UTC),
        attachments={name: ("text/plain", name.encode()) for name in names},
    )  # fmt: skip
    client.flush()
    found = {name: one["reader"].read() for name, one in client.read_run(run_id).attachments.items()}
    assert found == {name: name.encode() for name in names}
    client.cleanup()


def test_a_long_trace_comes_in_pages_and_looking_goes_on_until_something_fits(
    client: langsmith.Client, cur: psycopg.Cursor[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(langsmith_runs, "BITE", 4)
    root = run(name="long", session_name="pages", error="broke")
    inside = {"trace_id": root["id"], "parent_run_id": root["id"], "session_name": "pages"}
    runs = [root, *(run(name="kid", **inside) for _ in range(9))]
    short = [run(name="short", session_name="pages") for _ in range(6)]
    for each in (*runs, *short):  # the failed one was seen first
        client.request_with_retries("POST", "/runs", request_kwargs={"json": each})
    project = client.read_project(project_name="pages")

    def pages(**body: Any) -> list[list[str]]:
        found: list[list[str]] = []
        cursor: str | None = ""
        while cursor is not None:
            rows, cursor = langsmith_runs.Wanted({**body, "cursor": cursor}).load(cur, "")
            found.append([row.run_id for row, _ in rows])
        return found

    whole = pages(trace=root["id"])
    assert [len(page) for page in whole] == [4, 4, 2]
    assert {one for page in whole for one in page} == {each["id"] for each in runs}
    of_project = [one for page in pages(session=[str(project.id)], limit=3) for one in page]
    assert sorted(of_project) == sorted(each["id"] for each in (*runs, *short))
    assert pages(session=[str(project.id)], limit=1, error=True)[0] == [root["id"]]
    assert len(pages(trace=root["id"], tree_filter='eq(name, "kid")')[0]) == 10
    monkeypatch.setattr(langsmith_runs, "WHOLE", 9)
    with pytest.raises(RefusedError, match="tree_filter"):
        pages(trace=root["id"], tree_filter='eq(name, "kid")')


@pytest.mark.parametrize(
    "text", ["eq(", "eq(name)", "boom(name, 1)", 'eq(secret, "x")', "and()", '"', "not(" * 50]
)
def test_a_filter_that_is_not_understood_is_422(http: httpx.Client, text: str) -> None:
    answer = http.post("/langsmith/runs/query", json={"filter": text, "id": [str(uuid.uuid4())]})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("filter: ")


@given(st.text("andeqorname(),[]\"' 1-", max_size=60))
def test_any_text_is_a_predicate_or_refused(text: str) -> None:
    try:
        predicate = langsmith_filter.parse(text)
    except RefusedError:
        return
    assert predicate(RunRow(run_id="r", trace_id="t")) in {True, False}


async def test_the_v2_api_of_the_sdk(server: Server, trace: list[dict[str, Any]]) -> None:
    client = langsmith.Client(api_url=server.langsmith, api_key=INGEST_KEY)
    project = client.read_project(project_name="reads")
    page = await client.runs.query(
        project_ids=[str(project.id)],
        filter='eq(run_type, "llm")',
        selects=["NAME", "STATUS", "TOTAL_TOKENS"],
    )
    assert [(r.name, r.status, r.total_tokens, r.inputs) for r in page.items] == [
        ("model", "SUCCESS", 7, None)
    ]
    tool = trace[2]["id"]
    one = await client.runs.retrieve(tool, project_id=str(project.id), start_time=trace[2]["start_time"])
    assert (one.id, one.run_type, one.status, one.error) == (tool, "TOOL", "ERROR", "broke")
    await client._get_langsmith_api().close()
    client.cleanup()


def test_a_run_is_shared_until_it_is_not(
    client: langsmith.Client, server: Server, trace: list[dict[str, Any]]
) -> None:
    root = trace[0]["id"]
    assert not client.run_is_shared(root)
    url = client.share_run(root)
    token = url.split("/")[-2]
    assert client.read_run_shared_link(root) == url
    assert client.read_shared_run(token).name == "root"
    assert {r.name for r in client.list_shared_runs(token)} == {"root", "model", "tool"}
    public = f"{server.langsmith}/public/{token}/run"
    assert httpx.get(public).json()["id"] == root, "whoever holds the address needs no key"
    client.unshare_run(root)
    assert httpx.get(public).status_code == 404
    assert not client.run_is_shared(root)


def test_feedback_is_made_changed_and_taken_back(
    client: langsmith.Client, http: httpx.Client, trace: list[dict[str, Any]]
) -> None:
    root = trace[0]["id"]
    project = client.read_project(project_name="reads")
    made = client.create_feedback(
        root, "helpful", score=0.5, extend_trace_retention=False, session_id=project.id
    )
    client.update_feedback(made.id, score=0.9, comment="better")
    held = client.read_feedback(made.id)
    of = langsmith.schemas.FeedbackSourceType
    for kind, key, there in ((of.API, "helpful", 1), (of.MODEL, "helpful", 0), (of.API, "other", 0)):
        kept = client.list_feedback(run_ids=[root], feedback_key=[key], feedback_source_type=[kind])
        assert len(list(kept)) == there
    assert (held.score, held.comment, held.key) == (0.9, "better", "helpful")
    elsewhere = {"x-api-key": CONFINED_KEY}
    assert http.get(f"/langsmith/feedback/{made.id}", headers=elsewhere).status_code == 404
    reader = {"x-api-key": READ_KEY}
    assert http.delete(f"/langsmith/feedback/{made.id}", headers=reader).status_code == 403
    client.delete_feedback(made.id)
    assert http.get(f"/langsmith/feedback/{made.id}").status_code == 404
    assert http.delete(f"/langsmith/feedback/{made.id}").status_code == 404
    assert not list(client.list_feedback(run_ids=[root]))


def test_a_feedback_token_opens_one_key_of_one_run(
    client: langsmith.Client, http: httpx.Client, trace: list[dict[str, Any]]
) -> None:
    root = trace[0]["id"]
    token = client.create_presigned_feedback_token(root, "thumbs")
    assert httpx.get(token.url, params={"score": "1", "comment": "good"}).status_code == 200
    assert httpx.post(token.url, json={"score": 0}).status_code == 200
    kept = [(f.key, f.score) for f in client.list_feedback(run_ids=[root])]
    assert kept == [("thumbs", 0.0)], "used again it corrects what was said with it"
    assert httpx.get(token.url, params={"score": "many"}).status_code == 422
    assert httpx.get(token.url[:-1] + ("0" if token.url[-1] != "0" else "1")).status_code == 404
    late = {"run_id": root, "feedback_key": "k", "expires_at": "2020-01-01T00:00:00Z"}
    assert http.post("/langsmith/feedback/tokens", json=late).status_code == 422


def test_settings_and_projects(client: langsmith.Client, http: httpx.Client) -> None:
    name = f"project-{uuid.uuid4().hex[:8]}"
    made = client.create_project(name)
    assert client.read_project(project_name=name).id == made.id
    assert name in {p.name for p in client.list_projects(name=name)}
    assert client._get_settings().display_name == "agentic-sales"
    assert http.post("/langsmith/sessions", json={"name": ""}).status_code == 422


def test_a_confined_key_writes_and_reads_one_project(http: httpx.Client) -> None:
    mine = {"x-api-key": CONFINED_KEY}
    own, other = run(session_name="elsewhere"), run(session_name="reads")
    assert http.post("/langsmith/runs", json=own, headers=mine).status_code == 202
    assert http.post("/langsmith/runs", json=other).status_code == 202
    assert http.get(f"/langsmith/runs/{own['id']}", headers=mine).json()["session_name"] == "confined"
    assert http.get(f"/langsmith/runs/{other['id']}", headers=mine).status_code == 404
    assert http.put(f"/langsmith/runs/{other['id']}/share", json={}, headers=mine).status_code == 404
    assert http.post("/langsmith/runs", json=own, headers={"x-api-key": READ_KEY}).status_code == 403
