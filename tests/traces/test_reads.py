"""Reading what a real ingest stored: the list, the tree by any id, runs, export, findings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from langsmith import Client as LangSmith
from langsmith.run_trees import RunTree
from msgspec.structs import asdict, replace

from feedback_app.services import submit_feedback
from registry_app.models import ApiKey
from registry_app.services import ensure_api_key
from routing_app.models import DispatchRecord
from tests.ingest.conftest import INGEST_KEY
from tests.traces.scenes import T0, clean, uid
from tests.traces.scenes import run as begun
from traces_app import actions, listing, selectors, services, tasks
from traces_app.hops import tell_heads
from traces_app.models import FindingSighting, StoredFinding

if TYPE_CHECKING:
    import httpx
    from django.test import Client

    from tests.ingest.conftest import Server
    from traces_app.rows import DispatchRow, RunRow

pytestmark = pytest.mark.processes
KEY = "ask_test_reader_" + "r" * 40


def send(http: httpx.Client, runs: list[RunRow], hops: list[DispatchRow], shift: timedelta) -> None:
    """The rows as an SDK and the dispatcher would have left them, `shift` later."""
    posts = [langsmith(run, shift) for run in runs]
    assert http.post("/langsmith/runs/batch", json={"post": posts, "patch": []}).status_code == 202
    for hop in hops:
        values = {k: v for k, v in asdict(hop).items() if v is not None}
        values |= {
            "received_at": hop.received_at + shift,
            "ended_at": (hop.ended_at or hop.received_at) + shift,
        }
        DispatchRecord.objects.create(**{**values, "dropped_headers": list(hop.dropped_headers)})


def langsmith(run: RunRow, shift: timedelta) -> dict[str, Any]:
    metadata = {
        "langgraph.assistant_id": run.assistant_id,
        "agentic.pool": run.pool,
        "agentic.dispatch_id": run.dispatch_id,
        "ls_model_name": run.model,
        "usage_metadata": {"total_tokens": run.total_tokens, "total_cost": float(run.cost or 0)}
        if run.total_tokens
        else None,
        **run.metadata,
    }
    assert run.start is not None
    return {
        "id": run.run_id,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "name": run.name,
        "run_type": run.run_type,
        "session_name": run.project,
        "start_time": (run.start + shift).isoformat(),
        "end_time": (run.end + shift).isoformat() if run.end else None,
        "dotted_order": f"{run.start + shift:%Y%m%dT%H%M%S%f}Z{run.run_id}",
        "inputs": {"question": run.name},
        "outputs": {"answer": "a"} if run.end else None,
        "extra": {"metadata": {k: v for k, v in metadata.items() if v is not None}},
        "tags": ["demo"],
    }


MUCH_FEEDBACK = """
INSERT INTO feedback_app_feedback (id, run_id, trace_id, key, score, comment, source, source_event_id, rater,
    source_metadata, project, created_at, modified_at, bound_at, assistant_id, pool, model, prompt_version)
SELECT gen_random_uuid(), md5('run' || n)::uuid, md5('trace' || n)::uuid, 'told', 1, '', 'api', '', '', '{}', '',
    now(), now(), now(), '', '', '', '' FROM generate_series(1, 20000) n
"""


@pytest.fixture
def shift() -> timedelta:
    """Moves the scene to half an hour ago, so that it has settled."""
    return datetime.now(UTC) - timedelta(minutes=30) - T0


@pytest.fixture
def action(http: httpx.Client, shift: timedelta) -> None:
    runs, hops = clean()
    # CLASSIFY ignored the headers: its run is a trace of its own, as an unmodified Agent Server sends it.
    own = {"trace_id": uid("classify"), "project": "worker"}
    runs = [replace(run, **own) if run.name.startswith("classify") else run for run in runs]
    runs = [replace(run, parent_run_id=None) if run.name == "classify" else run for run in runs]
    runs = [
        replace(run, metadata={**run.metadata, "graph_step": "draft"}) if run.name == "compose.draft" else run
        for run in runs
    ]
    send(http, runs, hops, shift)


@pytest.fixture
def api(client: Client, database_url: str) -> Client:
    ensure_api_key(KEY, name="reader", scopes=("*",))
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {KEY}"
    return client


@pytest.mark.usefixtures("action")
def test_every_id_of_an_action_gives_the_same_tree(api: Client) -> None:
    _, hops = clean()
    names = [
        uid("caller"),
        uid("compose"),
        uid("classify.llm"),
        uid("classify").replace("-", ""),
        hops[0].request_id,
        hops[1].id,
        hops[0].w3c_trace_id,
    ]
    trees = [api.get(f"/api/traces/{name}/tree").json() for name in names]
    assert all(tree == trees[0] for tree in trees)
    tree = trees[0]
    assert sorted(tree["trace_ids"]) == sorted((uid("caller"), uid("classify")))
    assert tree["state"] == "complete"
    assert [node["kind"] for node in tree["nodes"]] == [
        "caller",
        *("dispatcher", "pool", "node", "llm") * 2,
    ]
    assert [node["id"] for node in tree["nodes"] if node["parent_id"] is None] == [uid("caller")]
    assert (tree["nodes"][0]["tokens"], tree["nodes"][0]["cost"]) == (200, 0.004)
    found = [finding["code"] for node in tree["nodes"] for finding in node["findings"]]
    assert found == ["standalone-root"]


@pytest.mark.usefixtures("action")
def test_an_action_is_one_row_and_filters_see_its_parts(api: Client) -> None:
    def ids(q: str) -> list[str]:
        answer = api.get("/api/traces", {"q": q})
        assert answer.status_code == 200, answer.content
        return [row["id"] for row in answer.json()["items"]]

    one = [uid("caller")]
    assert ids("") == one
    hits = [
        "assistant:classify_company",
        "assistant:email_compose pool:email",
        "status:ok",
        "-status:error",
        "latency:>2s latency:<1m",
        "tokens:>=100",
        "model:m-1",
        "tag:demo",
        "name:compose.dr",
        "caller:web-app",
        "project:web-app",
        "since:1h",
        "has:llm -has:feedback",
        '"compose.draft"',
        "CALLER",
        "meta.graph_step:draft",
        "-graph_step",
    ]
    misses = [
        "assistant:nobody",
        "status:error",
        "latency:>1h",
        "cost:>5",
        "-tag:demo",
        "until:2020-01-01",
        "100%",
        "meta.step:classify",
        "meta",
        "campaign:spring",
    ]
    assert {q: ids(q) for q in hits} == dict.fromkeys(hits, one)
    assert {q: ids(q) for q in misses} == {q: [] for q in misses}


def test_a_call_that_left_no_trace_is_an_action_of_its_own(api: Client, http: httpx.Client) -> None:
    _, hops = clean()
    now = datetime.now(UTC)
    refused = replace(
        hops[0], status=503, error_kind="pool_down", error="EMAIL did not answer", run_id="", ls_trace_id="",
        w3c_trace_id="", received_at=now, ended_at=now,
    )  # fmt: skip
    send(http, [], [refused], timedelta(0))
    page = api.get("/api/traces", {"q": "status:error"}).json()
    (row,) = page["items"]
    assert (row["id"], row["status"], row["assistant_id"]) == (refused.id, "error", refused.assistant_id)
    assert (row["pools"], row["caller"], row["runs"]) == ([refused.pool], refused.key_name, 0)
    for q in (f"assistant:{refused.assistant_id} pool:{refused.pool}", '"did not answer"', "has:error"):
        assert [one["id"] for one in api.get("/api/traces", {"q": q}).json()["items"]] == [refused.id], q
    assert api.get("/api/traces", {"q": "status:ok"}).json()["items"] == []
    assert api.get("/api/traces", {"after": page["tail"]}).json()["items"] == []
    assert [node["kind"] for node in api.get(f"/api/traces/{row['id']}/tree").json()["nodes"]][
        -1
    ] == "dispatcher"


def test_a_failed_call_makes_its_action_fail_in_row_and_filter(
    api: Client, http: httpx.Client, shift: timedelta
) -> None:
    runs, hops = clean()
    send(http, runs, [replace(hop, graph_failed=True) for hop in hops], shift)

    def rows(q: str) -> list[str]:
        return [row["status"] for row in api.get("/api/traces", {"q": q}).json()["items"]]

    assert (rows("status:error"), rows("status:ok"), rows("has:error")) == (["error"], [], ["error"])
    with connection.cursor() as cursor:  # a day later only the heads know
        cursor.execute("UPDATE routing_app_dispatchrecord SET ended_at = now()")
        assert [tell_heads(), tell_heads()] == [1, 0]
        cursor.execute("UPDATE traces_app_tracehead SET seen_at = seen_at - interval '1 day'")
    assert (rows("status:error caller:web-app"), rows("status:ok")) == (["error"], [])


def test_a_run_id_that_two_runs_share_is_said(api: Client, server: Server) -> None:
    sdk = LangSmith(api_url=f"http://127.0.0.1:{server.port}/langsmith", api_key=INGEST_KEY)
    tree = RunTree(name="caller", run_type="chain", inputs={}, ls_client=sdk)
    tree.post()
    first = tree.create_child("draft")
    again = RunTree(
        name="redraft", inputs={}, ls_client=sdk, id=first.id, trace_id=tree.trace_id, parent_run=tree
    )
    again.dotted_order = first.dotted_order
    for run in (first, again):
        run.post()
        run.end(outputs={})
        run.patch()
        sdk.flush()
    tree.end(outputs={})
    tree.patch()
    sdk.flush()
    sdk.close()
    nodes = api.get(f"/api/traces/{tree.trace_id}/tree").json()["nodes"]
    (found,) = [one for node in nodes for one in node["findings"]]
    assert found["code"] == "duplicate-run"
    assert [claim.split(" ")[0] for claim in found["evidence"]["claims"]] == ["draft", "redraft"]


@pytest.mark.usefixtures("action")
def test_findings_are_kept_once_filtered_by_and_resolved(api: Client) -> None:
    tree = selectors.get_tree(uid("caller"))
    assert tree is not None
    assert [services.store_findings(tree), services.store_findings(tree)] == [1, 0]
    (item,) = api.get("/api/diagnostics/findings").json()["items"]
    assert (item["code"], item["hop"], item["count"], item["traces"]) == (
        "standalone-root",
        "CLASSIFY",
        1,
        [uid("caller")],
    )
    listed = api.get("/api/traces", {"q": "has:finding finding:standalone-root"}).json()["items"]
    assert [row["findings"] for row in listed] == [["standalone-root"]]
    assert api.post(f"/api/diagnostics/findings/{item['id']}/resolve").json() == {"resolved": True}
    assert api.get("/api/diagnostics/findings").json()["items"] == []
    assert api.get("/api/traces", {"q": "has:finding"}).json()["items"] == []
    FindingSighting.objects.all().delete()
    services.store_findings(tree)
    assert StoredFinding.objects.get().resolved_at is None


@pytest.mark.usefixtures("action")
def test_run_export_and_command(api: Client, capsys: pytest.CaptureFixture[str]) -> None:
    run = api.get(f"/api/traces/runs/{uid('compose.llm')}").json()
    assert run["payload"]["inputs"] == {"question": "compose.llm"}
    lines = b"".join(api.get(f"/api/traces/{uid('caller')}/export")).decode().splitlines()
    assert len(lines) == 7
    assert json.loads(lines[0])["run"]["name"] == "caller"
    call_command("show_trace", uid("classify"))
    assert "dispatcher POST /runs/wait" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no action"):
        call_command("show_trace", uid("nothing"))


def test_what_was_refused_is_told_with_its_reason(api: Client, http: httpx.Client, shift: timedelta) -> None:
    bad = {**langsmith(clean()[0][0], shift), "run_type": "no such type"}
    assert http.post("/langsmith/runs/batch", json={"post": [bad], "patch": []}).status_code == 202
    (item,) = api.get("/api/diagnostics/quarantine").json()["items"]
    assert (item["door"], item["item"]) == ("batch", "")
    assert "run_type" in item["reason"]


@pytest.mark.usefixtures("action")
def test_rollups_by_marks_of_runs(api: Client) -> None:
    def groups(**asked: Any) -> list[tuple[Any, ...]]:
        items = api.get("/api/traces/rollups", asked).json()["items"]
        return [
            (*one["group"].values(), one["runs"], one["total_tokens"], one["p95_ms"] is not None)
            for one in items
        ]

    assert sorted(groups(by="pool", kind="llm")) == [
        ("", 0, 0, False),
        ("CLASSIFY", 1, 100, True),
        ("EMAIL", 1, 100, True),
    ]
    assert ("classify_company", "CLASSIFY", 1, 100, True) in groups(by=["assistant_id", "pool"])
    assert groups(by="hour", until="2020-01-01") == []
    refused = api.get("/api/traces/rollups", {"by": "secret"})
    assert (refused.status_code, refused.json()["field"]) == (422, "by.0")


def test_pages_by_keyset_show_every_action_once(api: Client, http: httpx.Client, shift: timedelta) -> None:
    base = clean()[0][0]
    names = [f"action {index}" for index in range(7)]
    for name in names:
        send(http, [replace(base, run_id=uid(name), trace_id=uid(name), name=name)], [], shift)
    seen, cursor = [], ""
    for _ in range(10):
        page = api.get("/api/traces", {"limit": "3", "cursor": cursor}).json()
        seen += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == names[::-1]


def test_a_filter_without_an_index_looks_at_so_many_and_says_how_far(
    api: Client, http: httpx.Client, shift: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = clean()[0][0]
    for index in range(7):
        name = f"rare {index}" if index % 4 == 0 else f"action {index}"
        send(http, [replace(base, run_id=uid(name), trace_id=uid(name), name=name)], [], shift)
    monkeypatch.setattr(actions, "LOOKED_AT", 2)

    def pages(q: str) -> list[list[str]]:
        found, cursor = [], ""
        while True:
            page = api.get("/api/traces", {"q": q, "cursor": cursor}).json()
            found.append([row["name"] for row in page["items"]])
            cursor = page["next_cursor"]
            assert bool(cursor) == bool(page["read_until"])
            if not cursor:
                return found

    assert pages("name:rare") == [["rare 4"], [], ["rare 0"]]
    assert pages("assistant:nobody") == [[]]
    assert listing.neighbours([uid("rare 0")], "name:action") == (uid("action 1"), None)
    assert listing.strip(q="name:rare").cut
    assert not listing.strip(q="assistant:nobody").cut


def test_more_traces_than_a_pass_can_diagnose_are_left_to_the_next(
    api: Client, http: httpx.Client, shift: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = clean()[0][0]
    for index in range(5):
        ids: dict[str, Any] = {
            "run_id": uid(f"run {index}"),
            "trace_id": uid(f"trace {index}"),
            "parent_run_id": uid(f"gone {index}"),
        }
        send(http, [replace(base, **ids)], [], shift)
    monkeypatch.setattr(tasks, "PAGE", 2)
    monkeypatch.setattr(tasks, "PASS_S", 0.0)

    def seen() -> int:
        tasks.diagnose_at(datetime.now(UTC) + tasks.SETTLED)
        return FindingSighting.objects.values("trace_id").distinct().count()

    assert [seen() for _ in range(4)] == [2, 4, 5, 5]
    assert not api.get("/api/diagnostics/findings").json()["diagnosed_until"].startswith("1970")


@pytest.mark.usefixtures("action")
def test_feedback_binds_once_its_run_is_there(api: Client) -> None:
    body = {"run_id": uid("compose"), "key": "reply_received", "score": 1, "source_event_id": "e1"}
    assert [api.post("/api/feedback", body, "application/json").status_code for _ in range(2)] == [201, 200]
    assert services.bind_feedback() == 1
    rows = api.get("/api/feedback/scores").json()["items"]
    assert [(row["group"], row["count"], row["mean"]) for row in rows] == [("email_compose", 1, 1.0)]
    rows = api.get("/api/feedback/scores", {"by": "model"}).json()["items"]
    assert [row["group"] for row in rows] == ["m-1"], "a graph's model is that of its calls"
    hit = api.get("/api/traces", {"q": "has:feedback feedback.reply_received:>0.5"}).json()["items"]
    assert [row["feedback"] for row in hit] == [[["reply_received", 1.0]]]


@pytest.mark.parametrize("any_id", ["nope", "%00", "a" * 200, "'; DROP TABLE x", str(uid("nothing"))])
def test_an_unknown_id_is_404(api: Client, any_id: str) -> None:
    assert api.get(f"/api/traces/{any_id}/tree").status_code == 404
    assert api.get(f"/api/traces/runs/{any_id}").status_code == 404


@pytest.mark.parametrize("q", ["assistnat:x", "latency:>soon", '"open', "x" * 3000])
def test_a_bad_filter_is_422_and_says_where(api: Client, q: str) -> None:
    answer = api.get("/api/traces", {"q": q})
    assert answer.status_code == 422
    assert "at character" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/traces", "/api/traces/x/tree", "/api/diagnostics/findings"])
def test_without_a_key_nothing_is_told(client: Client, path: str, database_url: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.usefixtures("action")
def test_a_window_of_the_tree_by_rows_and_by_what_is_open(api: Client) -> None:
    path = f"/api/traces/{uid('caller')}/tree"
    whole = api.get(path).json()["nodes"]
    cut = api.get(path, {"from": 1, "limit": 2}).json()
    assert [one["id"] for one in cut["nodes"]] == [one["id"] for one in whole[1:3]]
    assert (cut["window"]["from"], cut["window"]["after"]) == (1, len(whole) - 3)
    for bad in ({"from": -1, "limit": 2}, {"limit": 0}, {"limit": 99_999}):
        assert api.get(path, bad).status_code == 422


@pytest.mark.usefixtures("action")
def test_a_live_tail_asks_for_what_came_after(api: Client) -> None:
    first = api.get("/api/traces")
    body = first.json()
    assert body["items"]
    unchanged = api.get("/api/traces", headers={"If-None-Match": first["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    nothing = api.get("/api/traces", {"after": body["tail"]}).json()
    assert (nothing["items"], nothing["tail"]) == ([], body["tail"])
    assert api.get("/api/traces", {"after": "yesterday"}).status_code == 422


@pytest.mark.usefixtures("action")
def test_a_key_of_a_project_sees_the_actions_that_began_there(api: Client) -> None:
    path = f"/api/traces/{uid('caller')}/tree"
    for project, status in (("web-app", 200), ("another", 404)):
        key = f"ask_test_{project}_" + "p" * 40
        ensure_api_key(key, name=project, scopes=("read",))
        ApiKey.objects.filter(name=project).update(project=project)
        held = {"Authorization": f"Bearer {key}"}
        assert api.get(path, headers=held).status_code == status
        assert bool(api.get("/api/traces", headers=held).json()["items"]) is (status == 200)
        assert api.get(f"/api/traces/runs/{uid('caller')}", headers=held).status_code == status
        assert api.get("/api/traces/rollups", headers=held).status_code == 403


def test_feedback_never_binds_to_a_run_of_another_project(http: httpx.Client, shift: timedelta) -> None:
    runs, _ = clean()
    send(http, runs, [], shift)
    given: dict[str, Any] = {"run_id": uid("caller"), "key": "helpful", "score": 1}
    stranger = submit_feedback(**given, source_event_id="a", project="another").feedback
    own = submit_feedback(**given, source_event_id="b", project="web-app").feedback
    assert services.bind_feedback() == 1
    stranger.refresh_from_db()
    own.refresh_from_db()
    assert (stranger.bound_at, own.bound_at is not None) == (None, True)


def test_feedback_of_a_run_at_work_is_found_by_its_action(api: Client, http: httpx.Client) -> None:
    send(http, [begun("caller", 0, None)], [], datetime.now(UTC) - T0)
    submit_feedback(run_id=uid("caller"), key="helpful", score=1, project="web-app")
    submit_feedback(run_id=uid("caller"), key="strange", score=0, project="another")
    assert services.bind_feedback() == 0
    (found,) = api.get("/api/traces", {"q": "has:feedback"}).json()["items"]
    assert found["feedback"] == [["helpful", 1.0]]


@pytest.mark.usefixtures("action")
def test_a_list_reads_the_feedback_of_its_actions_alone(api: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE feedback_app_feedback DISABLE TRIGGER USER")
        cursor.execute(MUCH_FEEDBACK)
        cursor.execute("ALTER TABLE feedback_app_feedback ENABLE TRIGGER USER")
        cursor.execute("ANALYZE feedback_app_feedback")
        for q in ("", "has:feedback", "feedback.told:>0"):
            with CaptureQueriesContext(connection) as asked:
                api.get("/api/traces", {"q": q})
            # Django keeps no text of a statement that is prepared already; the server does.
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            prepared = [statement for (statement,) in cursor.fetchall()]
            plain = [one["sql"] or "" for one in asked.captured_queries]
            about = [sql for sql in (*plain, *prepared) if "feedback_app_feedback" in sql]
            assert about, "it reads feedback"
            for query in about:
                cursor.execute(f"EXPLAIN {'(GENERIC_PLAN) ' if '$1' in query else ''}{query}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                assert "Seq Scan on feedback_app_feedback" not in plan, plan


def test_an_action_with_many_names_is_found_by_its_own(
    api: Client, http: httpx.Client, shift: timedelta
) -> None:
    root = replace(clean()[0][0], run_id=uid("zebra"), trace_id=uid("zebra"), name="zebra")
    steps = [
        replace(root, run_id=uid(f"step {at}"), parent_run_id=root.run_id, name=f"step {at}")
        for at in range(101)
    ]
    send(http, [root, *steps], [], shift)
    for q in ("name:zebra", "zeb", "name:step"):
        assert [row["name"] for row in api.get("/api/traces", {"q": q}).json()["items"]] == ["zebra"], q


def test_an_action_under_way_is_found_by_the_ids_of_its_call(
    api: Client, http: httpx.Client, shift: timedelta
) -> None:
    said = {"agentic.request_id": "order 7", "agentic.dispatch_id": uid("hop")}
    root = replace(clean()[0][0], run_id=uid("slow"), trace_id=uid("slow"), end=None, metadata=said)
    send(http, [root], [], shift)
    for name in ("order 7", uid("hop")):
        answer = api.get(f"/api/traces/{name}/tree")
        assert [node["run_id"] for node in answer.json()["nodes"]] == [uid("slow")]
    assert api.get(f"/api/traces/{uid('other')}/tree").status_code == 404
