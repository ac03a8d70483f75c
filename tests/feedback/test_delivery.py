"""Feedback leaves through the real client in the real job process, whatever the other end does."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from langsmith import Client, traceable, tracing_context

from feedback_app.models import Delivery, Feedback
from feedback_app.services import resend, retract_feedback, submit_feedback
from tests.feedback.conftest import Recorder, eventually, job_process
from tests.ingest.conftest import INGEST_KEY, Server
from tests.traces.conftest import server, store_url  # noqa: F401 fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def endpoint(settings: Settings, recorder: Recorder, database_url: str) -> Iterator[Recorder]:
    """A recording endpoint and a job process that delivers to it."""
    settings.LANGSMITH_ENDPOINT = recorder.url
    with job_process(database_url, LANGSMITH_ENDPOINT=recorder.url, LANGSMITH_API_KEY="lsv2_test"):
        yield recorder


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def due_now() -> None:
    """Let the waits between tries pass at once."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")


def test_feedback_is_created_patched_and_deleted_at_the_other_end(endpoint: Recorder) -> None:
    run_id = str(uuid.uuid4())
    given: dict[str, Any] = {"run_id": run_id, "key": "helpful", "source": "human", "actor": "mara"}
    feedback = submit_feedback(**given, score=1, comment="good").feedback
    eventually(lambda: states() == ["delivered"])
    submit_feedback(**given, score=0, comment="on second thoughts")
    eventually(lambda: states() == ["delivered"] * 2)
    retract_feedback(feedback_id=feedback.pk)
    eventually(lambda: states() == ["delivered"] * 3)

    (create, edit, delete) = endpoint.calls
    assert create[:2] == ("POST", "/feedback")
    body = create[2]
    assert (body["id"], body["run_id"], body["key"], body["score"], body["comment"]) == (
        str(feedback.pk),
        run_id,
        "helpful",
        1.0,
        "good",
    )
    assert body["feedback_source"]["metadata"]["rater"] == "mara"
    assert edit[:2] == ("PATCH", f"/feedback/{feedback.pk}")
    assert (edit[2]["score"], edit[2]["comment"]) == (0.0, "on second thoughts")
    assert delete[:2] == ("DELETE", f"/feedback/{feedback.pk}")


def test_a_failing_endpoint_is_tried_again_later_then_a_dead_letter_that_can_be_resent(
    endpoint: Recorder,
) -> None:
    endpoint.statuses = [500] * 50
    submit_feedback(run_id=str(uuid.uuid4()), key="reply_received", score=1, source="outcome")
    first = eventually(lambda: Delivery.objects.filter(attempts=1).exclude(last_error="").first())
    assert (first.state, first.next_try_at is not None) == ("pending", True)
    eventually(lambda: Delivery.objects.get().attempts >= 2)
    tries = [at for *_, at in endpoint.calls]
    assert max(later - sooner for sooner, later in pairwise(tries)) >= 2.5, "the second try did not wait"

    def dead() -> bool:
        due_now()
        return states() == ["dead"]

    eventually(dead, within=90)
    letter = Delivery.objects.get()
    assert (letter.attempts, letter.next_try_at) == (8, None)
    assert "500" in letter.last_error
    endpoint.statuses.clear()
    assert resend(delivery_id=letter.pk)
    eventually(lambda: states() == ["delivered"])
    assert not resend(delivery_id=letter.pk), "what was delivered is no dead letter"


def test_a_refusal_that_stays_one_is_a_dead_letter_at_once(endpoint: Recorder) -> None:
    endpoint.statuses = [422]
    submit_feedback(run_id=str(uuid.uuid4()), key="k", score=1)
    eventually(lambda: states() == ["dead"])
    assert Delivery.objects.get().attempts == 1


def test_a_job_process_killed_while_it_delivers_loses_nothing(
    settings: Settings, recorder: Recorder, database_url: str
) -> None:
    settings.LANGSMITH_ENDPOINT = recorder.url
    environ = {"LANGSMITH_ENDPOINT": recorder.url, "LANGSMITH_API_KEY": "lsv2_test"}
    recorder.held.clear()
    with job_process(database_url, **environ) as first:
        submit_feedback(run_id=str(uuid.uuid4()), key="k", score=1)
        eventually(lambda: recorder.calls)
        first.kill()  # with the call under way
        first.wait(10)
    recorder.held.set()
    assert (states(), jobs()) == (["pending"], ["doing"])
    with job_process(database_url, **environ):
        eventually(lambda: states() == ["delivered"], within=150)
    sent = {call[2]["id"] for call in recorder.calls}
    assert (len(recorder.calls), len(sent)) == (2, 1), "sent again under the same id"


def jobs() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT status::text FROM procrastinate_jobs WHERE task_name = 'feedback.deliver'")
        return [status for (status,) in cursor.fetchall()]


def trace_of(name: str, client: Client) -> str:
    seen: dict[str, Any] = {}

    @traceable(name=name, client=client)
    def act() -> str:
        from langsmith.run_helpers import get_current_run_tree

        tree = get_current_run_tree()
        assert tree is not None
        seen["id"] = str(tree.id)
        return "done"

    with tracing_context(enabled=True, client=client, project_name="delivery"):
        act()
    client.flush()
    return str(seen["id"])


def test_at_our_own_ingest_the_two_meet_in_one_row_bound_by_the_job(
    settings: Settings,
    server: Server,  # noqa: F811
    database_url: str,
) -> None:
    settings.LANGSMITH_ENDPOINT = server.langsmith
    client = Client(api_url=server.langsmith, api_key=INGEST_KEY)
    with job_process(database_url, LANGSMITH_ENDPOINT=server.langsmith, LANGSMITH_API_KEY=INGEST_KEY):
        run_id = str(uuid.uuid4())
        given: dict[str, Any] = {"run_id": run_id, "key": "helpful", "source": "human", "actor": "mara"}
        early = submit_feedback(**given, score=1).feedback
        eventually(lambda: states() == ["delivered"])
        submit_feedback(**given, score=0.25, comment="edited")
        eventually(lambda: states() == ["delivered"] * 2)
        row = Feedback.objects.get()
        assert (row.pk, row.score, row.comment, row.source, row.rater) == (
            early.pk,
            0.25,
            "edited",
            "human",
            "mara",
        )
        seen = list(client.list_feedback(run_ids=[run_id]))
        assert [(one.id, one.score) for one in seen] == [(early.pk, 0.25)]

        traced = trace_of("rated", client)
        late = submit_feedback(run_id=traced, key="helpful", score=1).feedback
        # `traces.bind_feedback` runs in the job process every 15 s.
        bound = eventually(
            lambda: Feedback.objects.filter(pk=late.pk).exclude(bound_at=None).first(), within=90
        )
        assert str(bound.trace_id) == traced
        assert Feedback.objects.count() == 2
    client.close()


def test_what_comes_back_from_our_own_endpoint_never_overwrites_its_source(
    settings: Settings,
    server: Server,  # noqa: F811
) -> None:
    """A delivery that is late by a whole edit: its copy says less than the row does."""
    settings.LANGSMITH_ENDPOINT = server.langsmith
    from feedback_app.deliver import open_client

    given: dict[str, Any] = {"run_id": str(uuid.uuid4()), "key": "k", "source": "human", "actor": "mara"}
    feedback = submit_feedback(**given, score=0.1).feedback
    submit_feedback(**given, score=0.9)
    settings.LANGSMITH_API_KEY = INGEST_KEY
    client = open_client()
    client.update_feedback(feedback.pk, score=0.1)
    client.delete_feedback(feedback.pk)
    client.close()
    feedback.refresh_from_db()
    assert (feedback.score, feedback.retracted_at) == (0.9, None)
