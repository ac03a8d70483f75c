"""One real user action through all three planes: edit and publish, call, trace, read, reply."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langgraph_sdk import get_sync_client
from langsmith import Client, traceable, tracing_context
from langsmith.run_helpers import get_current_run_tree

from tests.integration.conftest import KEY, Platform, eventually

COMPOSE = {
    "contact": {"name": "Lena Hoffmann", "role": "COO"},
    "company": {"name": "Brightwell Logistics"},
    "offer": {"product": "Dock scheduling"},
}


def test_a_published_allowlist_moves_the_next_call(platform: Platform) -> None:
    with platform.api() as api:
        before = api.get("/routing.json").raise_for_status()
        version = before.json()["version"]
        email = next(route for route in before.json()["routes"] if route["prefix"] == "EMAIL")
        assert "probe_email" in email["assistants"]
        without = [each for each in email["assistants"] if each != "probe_email"]

        api.put("/api/routing/pools/EMAIL/allowlist", json={"assistants": without}).raise_for_status()
        assert api.get("/routing.json").json()["version"] == version, "an edit went live without a publish"
        published = api.post("/api/routing/publish", json={"reason": "try it", "base_version": version})
        assert published.status_code == 200, published.text
        stale = api.post("/api/routing/publish", json={"reason": "again", "base_version": version})
        assert stale.status_code == 409

        run = {"assistant_id": "probe_email", "input": {"x": 1}}
        eventually(
            lambda: api.post("/runs/wait", json=run).headers.get("x-agentic-pool") == "CORE", within=10
        )
        back = api.post(
            "/api/routing/rollback", json={"version": version, "reason": "undo"}
        ).raise_for_status()
        assert back.json()["version"] == version + 2
        eventually(
            lambda: api.post("/runs/wait", json=run).headers.get("x-agentic-pool") == "EMAIL", within=10
        )
        assert api.post("/runs/wait", json=run).json()["x"] == 2


@pytest.mark.parametrize(
    "assistant", ["email_compose", "classify_company", "gh_lead_research", "lead_pipeline"]
)
def test_an_unmodified_client_waits_for_every_sales_graph(platform: Platform, assistant: str) -> None:
    with platform.api() as api:
        items = api.get("/api/registry/graphs").raise_for_status().json()["items"]
    example = next(each for each in items if each["assistant_id"] == assistant)["input_schema"]["examples"][0]
    with get_sync_client(url=platform.url, api_key=KEY) as client:
        assert client.runs.wait(None, assistant, input=example)


def test_an_unmodified_client_streams(platform: Platform) -> None:
    with get_sync_client(url=platform.url, api_key=KEY) as client:
        events = list(client.runs.stream(None, "email_compose", input=COMPOSE, stream_mode="updates"))
    assert events[0].event == "metadata"
    uuid.UUID(events[0].data["run_id"])
    assert any(event.event == "updates" for event in events)


def test_the_action_is_one_tree_from_its_caller_down(platform: Platform) -> None:
    tracer = Client(api_url=f"{platform.url}/langsmith", api_key=KEY)
    caller: dict[str, str] = {}

    @traceable(name="sendFollowUp", client=tracer)
    def send_follow_up(contact: dict[str, str]) -> Any:
        tree = get_current_run_tree()
        assert tree is not None
        caller["run_id"] = str(tree.id)
        with get_sync_client(url=platform.url, api_key=KEY, headers=tree.to_headers()) as client:
            return client.runs.wait(None, "email_compose", input=COMPOSE)

    with tracing_context(enabled=True, client=tracer, project_name="integration"):
        assert send_follow_up({"name": "Lena Hoffmann"})["subject"]
    tracer.flush()

    with platform.api() as api:

        def complete() -> Any:
            """The tree, once every run has ended and the dispatcher's record, written beside the path, is in."""
            answer = api.get(f"/api/traces/{caller['run_id']}/tree")
            tree: dict[str, Any] = answer.json() if answer.status_code == 200 else {"state": "", "nodes": []}
            hops = [node for node in tree["nodes"] if node["kind"] == "dispatcher"]
            return tree if tree["state"] == "complete" and hops else None

        tree = eventually(complete, within=30)
        nodes = {node["id"]: node for node in tree["nodes"]}
        roots = [node for node in tree["nodes"] if node["parent_id"] is None]
        assert [(root["kind"], root["name"]) for root in roots] == [("caller", "sendFollowUp")]
        pool = next(node for node in tree["nodes"] if node["kind"] == "pool")
        hop = nodes[pool["parent_id"]]
        assert (hop["kind"], hop["pool"], nodes[hop["parent_id"]]["kind"]) == (
            "dispatcher",
            "EMAIL",
            "caller",
        )
        assert (pool["assistant_id"], pool["status"]) == ("email_compose", "ok")
        llm = [node for node in tree["nodes"] if node["kind"] == "llm"]
        assert llm
        assert sum(node["tokens"] or 0 for node in llm) > 0
        inside = {node["name"] for node in tree["nodes"] if node["kind"] == "node"}
        assert {"draft", "critique"} <= inside
        assert tree["missing"] == []

    with platform.browser() as browser:
        page = browser.get(f"/traces/{caller['run_id']}").raise_for_status().text
        for text in ("sendFollowUp", "email_compose", "draft", "EMAIL"):
            assert text in page


def test_a_reply_becomes_feedback_on_the_run_that_wrote_the_mail(platform: Platform) -> None:
    slug = f"autumn-{uuid.uuid4().hex[:8]}"
    campaign = {
        "name": "Autumn",
        "slug": slug,
        "mailbox": "mara@northbeam.example",
        "product": "Dock scheduling",
        "weekdays": list(range(7)),
        "window_start": "00:00",
        "window_end": "23:59:59",
        "steps": [{"delay": 0, "delay_unit": "hours"}, {"delay": 48, "delay_unit": "hours"}],
    }
    row = {"email": f"{slug}@brightwell.example", "name": "Lena Hoffmann", "company": "Brightwell Logistics"}
    with platform.api() as api:
        assert api.post("/api/campaigns", json=campaign).status_code == 201
        report = api.post(f"/api/campaigns/{slug}/enrollments", json={"rows": [row]}).raise_for_status()
        assert report.json() == {"enrolled": 1, "already": 0, "errors": []}
        api.post(f"/api/campaigns/{slug}/activate").raise_for_status()

        def sent() -> Any:
            people = api.get(f"/api/campaigns/{slug}/enrollments").raise_for_status().json()
            return next((touch for touch in people[0]["touches"] if touch["status"] == "sent"), None)

        touch = eventually(sent, within=60)
        uuid.UUID(touch["langsmith_run_id"])
        assert (touch["pool"], touch["routing_version"] >= 1) == ("EMAIL", True)

        def listed() -> list[str]:
            page = api.get("/api/traces", params={"q": f"campaign:{slug}"}).raise_for_status().json()
            return [action["id"] for action in page["items"]]

        assert eventually(listed, within=30) == [touch["langsmith_run_id"]]

    with platform.browser() as browser:
        person = browser.get(f"/campaigns/{slug}/").raise_for_status().text
        enrollment = person.split("/campaigns/enrollments/")[1].split("/")[0]
        page = browser.get(f"/campaigns/enrollments/{enrollment}/").raise_for_status().text
        assert "Mark reply" in page
        headers = {
            "HX-Request": "true",
            "Referer": f"{platform.url}/",
            "X-CSRFToken": platform.token(browser),
        }
        for _ in range(2):
            marked = browser.post(f"/campaigns/touches/{touch['id']}/reply", headers=headers)
            assert marked.status_code == 200, marked.text
            assert "nothing else will go out" in marked.text
        trace = browser.get(f"/traces/{touch['langsmith_run_id']}").raise_for_status().text
        assert "reply_received" in trace

    reader = Client(api_url=f"{platform.url}/langsmith", api_key=KEY)
    scores = eventually(lambda: list(reader.list_feedback(run_ids=[touch["langsmith_run_id"]])), within=30)
    assert [(each.key, each.score) for each in scores] == [("reply_received", 1.0)]
    with platform.api() as api:
        ledger = api.get("/api/campaigns/ledger").raise_for_status().json()["invariants"]
        assert [each["name"] for each in ledger if not each["ok"]] == []
