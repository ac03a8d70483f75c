"""The Fleet page and its API: what is known of pools, with and without a dispatcher, and asking for a drill."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from registry_app.models import AuditEntry
from registry_app.services import record_pool_report
from routing_app.models import BreakerHold, DrillReport
from routing_app.propagation import Serving, connection_name
from routing_app.services import drills
from tests.routing.conftest import ACTOR, URLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

pytestmark = pytest.mark.usefixtures("live")

FIGURES = {"calls": 200, "errors": 0, "p50_ms": 12.3, "p99_ms": 118.8, "first_error": ""}
RESULT = {
    "passed": True, "pool": "DISCOVERY", "role": "dispatcher", "callers": 200, "rate": 25.0, "seconds": 8.0,
    "load_average": 1.0, "calm": {"EMAIL": FIGURES},
    "faults": [
        {
            "name": "killed", "how": "its worker was killed", "victims": {"EMAIL": FIGURES},
            "flood": {"503": 9}, "problems": ["p99 of <EMAIL> rose."],
        },
    ],
}  # fmt: skip


@contextmanager
def dispatcher(monkeypatch: pytest.MonkeyPatch, body: object) -> Iterator[None]:
    """A server that answers `/ok` as a dispatcher would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            payload = json.dumps(body).encode()
            self.send_response(503 if self.path != "/ok" else 200)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    point_at(monkeypatch, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    from dataclasses import replace

    monkeypatch.setattr(settings, "ENV", replace(settings.ENV, platform_url=f"http://127.0.0.1:{port}"))


def seen(**breakers: list[str]) -> dict[str, Any]:
    pools = {slug: {"breakers": breakers.get(slug, ["closed"]), "active": 3, "queued": 0} for slug in URLS}
    return {
        "ok": True,
        "routing_version": 1,
        "database": "up",
        "pools": pools,
        "records": {"waiting": 0, "spooled": 0},
    }


def test_a_whole_fleet_reads_as_such(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with dispatcher(monkeypatch, seen()):
        text = member("viewer").get("/fleet/").content.decode()
    assert "Every pool takes calls." in text
    assert "3 of 64" in text
    assert "needs routing_app.add_drillreport" in text


def test_an_open_breaker_leads_the_page_and_the_api(
    member: Callable[[str], Client], keyed: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_pool_report(pool="EMAIL", url=URLS["EMAIL"], graphs={}, error="no answer in 3 s")
    with dispatcher(monkeypatch, seen(DISCOVERY=["open"])):
        text = member("viewer").get("/fleet/").content.decode()
        answer = keyed("read").get("/api/fleet").json()
    assert "EMAIL takes no calls: no answer to its health check." in text
    assert "DISCOVERY takes no calls: the breaker opened, because calls in a row reached nobody." in text
    states = {pool["slug"]: pool["state"] for pool in answer["pools"]}
    assert states == {"CORE": "healthy", "CLASSIFY": "healthy", "EMAIL": "failing", "DISCOVERY": "failing"}
    assert answer["dispatcher"]["answers"] is True
    [replica] = next(pool["replicas"] for pool in answer["pools"] if pool["slug"] == "DISCOVERY")
    assert (replica["url"], replica["breaker"]) == (URLS["DISCOVERY"], "open")


def test_a_pool_that_is_tried_again_is_not_said_to_take_calls(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = member("viewer")
    with dispatcher(monkeypatch, seen(CORE=["half-open"], EMAIL=["held closed"])):
        for path in ("/fleet/", "/"):
            text = viewer.get(path).content.decode()
            assert "CORE takes one call to see whether it is back: the breaker opened" in text
            assert "EMAIL takes" not in text


def test_who_serves_which_version_is_shown_and_who_is_behind(
    member: Callable[[str], Client], keyed: Callable[..., Client], live: int
) -> None:
    given = connection.get_connection_params() | {"cursor_factory": None}
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    viewer = member("viewer")
    with ExitStack() as stack:
        for version, process in ((live, "1@here"), (live + 7, "2@<there>")):
            name = connection_name(Serving("dispatcher", process, version, moment))
            stack.enter_context(psycopg.connect(**given | {"application_name": name}))
        for path in ("/routing/", "/fleet/"):
            text = viewer.get(path).content.decode()
            rows = [row for row in text.split("<tr>") if "1@here" in row or "2@&lt;there&gt;" in row]
            assert ["behind" in row for row in rows] == [False, True]
        told = keyed("read").get("/api/fleet").json()["serving"]
    assert [(one["process"], one["version"]) for one in told] == [("1@here", live), ("2@<there>", live + 7)]


def test_an_operator_holds_a_breaker_and_lets_it_go(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = member("operator")
    operator.handler.enforce_csrf_checks = False
    path = f"/fleet/breakers/EMAIL?url={URLS['EMAIL']}"
    with dispatcher(monkeypatch, seen()):
        refused = operator.post(path, {"state": "ajar", "minutes": "60", "reason": ""})
        assert refused.status_code == 422
        assert "ajar is not one of" in refused.content.decode()
        assert operator.get(f"/fleet/breakers/EMAIL?url={URLS['CORE']}").status_code == 404
        given = {"state": "open", "minutes": "60", "reason": "bad <release>"}
        assert operator.post(path, given)["Location"] == "/fleet/"
    with dispatcher(monkeypatch, seen(EMAIL=["held open"])):
        text = operator.get("/fleet/").content.decode()
        home = operator.get("/").content.decode()
        diagnostics = operator.get("/diagnostics/").content.decode()
    for page in (text, home, diagnostics):
        assert "EMAIL takes no calls: the breaker is held open until" in page
        assert "user:a-operator holds EMAIL open: “bad &lt;release&gt;”." in page
    assert "CLASSIFY, DISCOVERY, CORE are healthy." in home
    entry = AuditEntry.objects.get(model="routing_app_breakerhold")
    assert (entry.actor, entry.action, entry.reason) == ("user:a-operator", "insert", "bad <release>")
    audit = operator.get("/registry/audit").content.decode()
    assert "nothing\n→\n{" in audit
    assert "&quot;reason&quot;: &quot;bad &lt;release&gt;&quot;" in audit
    for _ in range(2):
        answer = operator.post("/fleet/breakers/EMAIL/release", {"url": URLS["EMAIL"]})
        assert answer.status_code == 303
    assert not BreakerHold.objects.exists()


def test_breakers_over_the_api_name_what_is_wrong(keyed: Callable[..., Client]) -> None:
    client, kind = keyed("routing:write", "read"), "application/json"
    given: dict[str, Any] = {
        "pool": "EMAIL",
        "url": URLS["EMAIL"],
        "state": "open",
        "reason": "drill",
        "minutes": 5,
    }
    for name, bad in (
        ("pool", "NONE"),
        ("url", "http://elsewhere"),
        ("state", "ajar"),
        ("minutes", 0),
        ("reason", " "),
    ):
        answer = client.put("/api/fleet/breakers", {**given, name: bad}, content_type=kind)
        assert answer.status_code == 422, name
        assert name in answer.content.decode()
    assert client.put("/api/fleet/breakers", given, content_type=kind).json()["state"] == "open"
    again = client.put("/api/fleet/breakers", {**given, "state": "closed"}, content_type=kind)
    assert (again.json()["state"], BreakerHold.objects.count()) == ("closed", 1)
    pools = client.get("/api/fleet").json()["pools"]
    [hold] = [replica["hold"] for pool in pools for replica in pool["replicas"] if replica["hold"]]
    assert (hold["state"], hold["reason"]) == ("closed", "drill")
    assert keyed("read").put("/api/fleet/breakers", given, content_type=kind).status_code == 403
    assert client.put("/api/fleet/breakers", {**given, "state": "none"}, content_type=kind).status_code == 204
    assert not BreakerHold.objects.exists()


@pytest.mark.parametrize("body", [None, [], {"ok": True}, {"pools": {"EMAIL": "?"}, "records": 3}])
def test_a_strange_dispatcher_breaks_nothing(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch, body: object
) -> None:
    with dispatcher(monkeypatch, body):
        assert member("viewer").get("/fleet/").status_code == 200


def test_without_a_dispatcher_the_rest_is_shown(
    member: Callable[[str], Client], keyed: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, 9)
    text = member("viewer").get("/fleet/").content.decode()
    assert "The dispatcher cannot be reached." in text
    assert URLS["EMAIL"] in text
    answer = keyed("read").get("/api/fleet").json()
    assert answer["dispatcher"]["answers"] is False
    assert {pool["state"] for pool in answer["pools"]} == {"unknown"}


def test_a_drill_is_asked_for_once_with_its_job(
    keyed: Callable[..., Client], member: Callable[[str], Client]
) -> None:
    client = keyed("routing:write", "read")
    answer = client.post("/api/fleet/drills")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    report = DrillReport.objects.get()
    job = ProcrastinateJob.objects.get(task_name=drills.TASK)
    assert (job.queue_name, job.args) == (drills.QUEUE, {"report_id": report.pk})
    again = client.post("/api/fleet/drills")
    assert (again.status_code, DrillReport.objects.count()) == (409, 1)
    drills.begin_drill(report.pk)
    assert client.post("/api/fleet/drills").status_code == 409
    drills.tell_drill(report.pk, step="EMAIL killed", number=3, of=7)
    assert client.get(f"/api/fleet/drills/{report.pk}").json()["state"] == "running"
    page = member("viewer").get(f"/fleet/drills/{report.pk}").content.decode()
    assert "Step 3 of 7: EMAIL killed." in page
    drills.finish_drill(report.pk, result=RESULT)
    drills.break_off(report.pk, error="too late")
    assert client.get(f"/api/fleet/drills/{report.pk}").json()["state"] == "passed"
    assert keyed("read").post("/api/fleet/drills").status_code == 403
    assert client.get("/api/fleet/drills/999").status_code == 404


def test_reports_are_shown_and_inert(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, 9)
    report = drills.ask_for_drill(actor=ACTOR)
    drills.begin_drill(report.pk)
    drills.finish_drill(report.pk, result={**RESULT, "passed": False})
    other = DrillReport.objects.create(requested_by="<script>", state="broken", error="<b>why</b>")
    viewer = member("viewer")
    for path in ("/fleet/", f"/fleet/drills/{report.pk}", f"/fleet/drills/{other.pk}"):
        text = viewer.get(path).content.decode()
        assert "<script>" not in text.replace("<script src", "")
        assert "<b>why" not in text
    text = viewer.get(f"/fleet/drills/{report.pk}").content.decode()
    assert "a limit was broken" in text
    assert "118.8 ms" in text
    assert "p99 of &lt;EMAIL&gt; rose." in text
    assert viewer.get("/fleet/drills/999").status_code == 404


@pytest.mark.parametrize(("group", "status"), [("viewer", 403), ("operator", 403)])
def test_the_button_needs_the_permission_and_the_token(
    member: Callable[[str], Client], group: str, status: int
) -> None:
    assert member(group).post("/fleet/drill").status_code == status
    assert not DrillReport.objects.exists()


def test_an_operator_may_ask_and_is_told_when_one_is_under_way(
    member: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, 9)
    operator = member("operator")
    operator.handler.enforce_csrf_checks = False
    for wanted in ("The drill is asked for.", "A drill is under way."):
        assert operator.post("/fleet/drill")["Location"] == "/fleet/"
        assert wanted in operator.get("/fleet/").content.decode()
    assert DrillReport.objects.get().requested_by == "user:a-operator"
