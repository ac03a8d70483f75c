"""Giving feedback: once for each source event, before or after its run, with a history nothing bypasses."""

from __future__ import annotations

import uuid
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from feedback_app import selectors
from feedback_app.models import Delivery, Feedback, FeedbackKey
from feedback_app.services import (
    DELIVER_QUEUE,
    RunFacts,
    bind_runs,
    retract_feedback,
    submit_feedback,
)
from feedback_app.store import FeedbackError
from traces_app.models import RedactionRule

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import Settings

RUN = "0192f000-0000-7000-8000-000000000001"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _endpoint(db: None, settings: Settings) -> None:
    settings.LANGSMITH_ENDPOINT = "http://127.0.0.1:9/langsmith"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS feedback_roll_up IMMEDIATE")  # as a commit would


def test_without_an_endpoint_nothing_is_to_be_sent(settings: Settings) -> None:
    settings.LANGSMITH_ENDPOINT = ""
    submit_feedback(run_id=RUN, key="k", score=1)
    assert (Delivery.objects.count(), ProcrastinateJob.objects.count()) == (0, 0)


def test_what_may_not_be_stored_is_taken_out_of_what_is_said() -> None:
    RedactionRule.objects.create(kind="pattern", expression=r"\bKUNDE-\d+\b", replacement="[customer]")
    RedactionRule.objects.create(kind="pattern", expression=r"\bmine\b", project="another")
    RedactionRule.objects.create(kind="pattern", expression="(")  # is none, and is left out
    comment = f"sk-canary{'A1b2C3d4' * 4} of mine for KUNDE-4711"
    submit_feedback(run_id=RUN, key="note", comment=comment, value={"password": "4711"})
    said = Feedback.objects.get()
    assert (said.comment, said.value) == ("[redacted] of mine for [customer]", {"password": "[redacted]"})


def test_ratings_of_machines_without_an_event_are_told_apart_by_content() -> None:
    for score, created in ((0.1, True), (0.1, False), (0.2, True)):
        assert submit_feedback(run_id=RUN, key="judge", score=score, source="model").created is created


def test_row_delivery_and_job_come_together() -> None:
    result = submit_feedback(
        run_id=RUN, key="reply_received", score=1.0, source="outcome", source_event_id="e1"
    )
    assert result.created
    delivery = Delivery.objects.get()
    assert delivery.feedback_id == result.feedback.pk
    job = ProcrastinateJob.objects.get()
    assert (job.queue_name, job.args) == (DELIVER_QUEUE, {"delivery_id": delivery.pk})


@pytest.mark.django_db(transaction=True)
def test_nothing_stays_when_the_transaction_fails() -> None:
    with transaction.atomic():
        submit_feedback(run_id=RUN, key="k", score=1)
        transaction.set_rollback(True)
    assert (Feedback.objects.count(), Delivery.objects.count(), ProcrastinateJob.objects.count()) == (0, 0, 0)


def test_a_repeat_of_one_source_event_changes_nothing() -> None:
    for expected in (True, False, False):
        result = submit_feedback(
            run_id=RUN, key="reply_received", score=1, source="outcome", source_event_id="e1"
        )
        assert result.created is expected
    assert (Feedback.objects.count(), Delivery.objects.count()) == (1, 1)
    assert len(selectors.history(str(result.feedback.pk))) == 1


def test_other_events_keys_and_raters_are_kept_apart() -> None:
    submit_feedback(run_id=RUN, key="user_score", score=0.2, source="human", actor="user:ann")
    submit_feedback(run_id=RUN, key="user_score", score=0.8, source="human", actor="user:bob")
    submit_feedback(run_id=RUN, key="user_score", score=0.5, source="model", actor="user:bob")
    rows = selectors.for_runs([RUN, "no uuid", None])[RUN]
    assert sorted((row.rater, row.source, row.score) for row in rows) == [
        ("user:ann", "human", 0.2),
        ("user:bob", "human", 0.8),
        ("user:bob", "model", 0.5),
    ]


def test_an_edit_and_a_retraction_leave_a_history() -> None:
    made = submit_feedback(run_id=RUN, key="user_score", score=0.2, source="human", actor="user:ann")
    edited = submit_feedback(run_id=RUN, key="user_score", score=0.9, source="human", actor="user:ann")
    assert (edited.created, edited.changed, edited.feedback.score) == (False, True, 0.9)
    assert retract_feedback(feedback_id=made.feedback.pk, actor="user:bob")
    assert not retract_feedback(feedback_id=made.feedback.pk, actor="user:bob")
    events = selectors.history(str(made.feedback.pk))
    assert [(event.action, event.rater) for event in events] == [
        ("created", "user:ann"),
        ("edited", "user:ann"),
        ("retracted", "user:bob"),
    ]
    assert events[1].before is not None
    assert (events[1].before["score"], events[1].after["score"]) == (0.2, 0.9)
    assert selectors.for_runs([RUN]) == {}


def test_history_is_kept_even_for_changes_past_the_services() -> None:
    made = submit_feedback(run_id=RUN, key="user_score", score=0.2)
    Feedback.objects.filter(pk=made.feedback.pk).update(score=1.0)
    assert [event.action for event in selectors.history(str(made.feedback.pk))] == ["created", "edited"]


def test_feedback_given_before_its_run_binds_when_the_run_arrives() -> None:
    submit_feedback(run_id=RUN, key="reply_received", score=1)
    assert selectors.unbound_run_ids() == [RUN]
    facts = RunFacts(RUN, str(uuid.uuid4()), assistant_id="email_compose", pool="EMAIL", routing_version=7)
    assert bind_runs(facts=[facts]) == 1
    assert bind_runs(facts=[facts]) == 0
    assert selectors.unbound_run_ids() == []
    assert [(row.group, row.count) for row in selectors.score_rollup(by="assistant_id")] == [
        ("email_compose", 1)
    ]


def test_rollups_keep_sources_apart_and_say_how_sure_they_are() -> None:
    for index in range(20):
        run = str(uuid.uuid4())
        submit_feedback(run_id=run, key="reply_received", score=float(index < 5), source="outcome")
        submit_feedback(run_id=run, key="reply_received", score=1.0, source="human")
        bind_runs(facts=[RunFacts(run, run, pool="EMAIL")])
    human, outcome = selectors.score_rollup(by="pool", key="reply_received")
    assert (human.source, human.mean, outcome.mean, outcome.count) == ("human", 1.0, 0.25, 20)
    # Wilson's interval for 5 of 20, from the textbook formula.
    assert (outcome.low, outcome.high) == pytest.approx((0.1119, 0.4687), abs=1e-3)


def test_a_mean_and_its_interval_are_those_of_the_scores_that_stand() -> None:
    scores = [2.0, 4.5, 4.5, 9.1, 3.3]
    for number, score in enumerate([*scores, 1e300, 77.0]):
        run = str(uuid.uuid4())
        given: dict[str, Any] = {"run_id": run, "key": "stars", "source": "human", "actor": "mara"}
        made = submit_feedback(**given, score=7.0).feedback
        bind_runs(facts=[RunFacts(run, run, prompt_version=f"p{number % 2}")])
        submit_feedback(**given, score=score)
        if score == 77.0:
            retract_feedback(feedback_id=made.pk)
    (row,) = selectors.score_rollup(by="pool")
    half = 1.959964 * stdev(scores) / len(scores) ** 0.5
    assert row.count == len(scores)
    assert (row.mean, row.low, row.high) == pytest.approx(
        (fmean(scores), fmean(scores) - half, fmean(scores) + half)
    )
    assert [(one.group, one.count) for one in selectors.score_rollup(by="prompt_version")] == [
        ("p0", 3),
        ("p1", 2),
    ]


def test_runs_that_never_come_keep_none_from_being_found() -> None:
    runs = [str(uuid.uuid4()) for _ in range(7)]
    for run in runs:
        submit_feedback(run_id=run, key="reply_received", score=1)
    turns = [selectors.unbound_run_ids(turn=turn, limit=2) for turn in range(4)]
    assert all(found[:2] == runs[:-3:-1] for found in turns), "the newest are always looked for"
    assert {run for found in turns for run in found} == set(runs)


def test_each_mean_opens_the_feedback_it_is_of(admin_client: Client) -> None:
    for index in range(4):
        run = str(uuid.uuid4())
        submit_feedback(run_id=run, key="reply_received", score=float(index < 2), source="outcome")
        facts = RunFacts(run, run, pool="EMAIL" if index else "CORE", routing_version=7 if index else None)
        bind_runs(facts=[facts])
    submit_feedback(run_id=str(uuid.uuid4()), key="reply_received", score=1, source="outcome")
    for by in ("pool", "routing_version"):
        page = admin_client.get("/feedback/", {"by": by})
        behind = {row.group: (row.count, href) for row, href in page.context["rollup"]}
        assert sorted(count for count, _ in behind.values()) == [1, 3]
        for count, href in behind.values():
            assert len(admin_client.get(f"/feedback/{href}").context["rows"]) == count
    for odd in ("nonsense", "9" * 200):
        assert admin_client.get("/feedback/", {"by": "routing_version", "group": odd}).context["rows"] == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"run_id": "nope"}, "run_id"),
        ({"run_id": ""}, "run_id"),
        ({"key": ""}, "key"),
        ({"key": "x" * 181}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"score": float("nan")}, "score"),
        ({"score": float("inf")}, "score"),
        ({"score": 10**400}, "score"),
        ({"score": None}, "score"),
        ({"key": "reply_received", "score": 2}, "score"),
        ({"key": "reply_received", "score": 0.5}, "score"),
        ({"key": "user_score", "score": -1}, "score"),
        ({"key": "reply_received", "score": None, "value": "maybe"}, "score"),
        ({"key": "remark", "score": 1}, "score"),
        ({"source": "oracle"}, "source"),
        ({"source_event_id": "e" * 256}, "source_event_id"),
        ({"comment": "c" * 10_001}, "comment"),
        ({"value": {"a": object()}}, "value"),
        ({"key": "tone", "value": "loud", "score": None}, "value"),
    ],
)
def test_bad_input_names_its_field_and_stores_nothing(given: dict[str, object], field: str) -> None:
    FeedbackKey.objects.create(key="tone", kind="category", categories=["kind", "curt"])
    FeedbackKey.objects.create(key="remark", kind="text")
    valid: dict[str, object] = {"run_id": RUN, "key": "quality", "score": 1.0}
    with pytest.raises(FeedbackError) as caught:
        submit_feedback(**{**valid, **given})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert Feedback.objects.count() == 0
    assert ProcrastinateJob.objects.count() == 0


def test_the_api_names_the_score_that_is_none(admin_client: Client) -> None:
    body: dict[str, Any]
    for odd in ("yes", [1], {"a": 1}):
        body = {"run_id": RUN, "key": "quality", "score": odd}
        refused = admin_client.post("/api/feedback", body, "application/json")
        assert (refused.status_code, refused.json()["field"]) == (422, "score")
    for right in (0, True, 0.5, None):
        body = {"run_id": RUN, "key": "quality", "score": right, "comment": "x"}
        assert admin_client.post("/api/feedback", body, "application/json").status_code == 201


def test_the_page_offers_keys_that_are_used_and_leads_to_dead_letters(admin_client: Client) -> None:
    made = submit_feedback(run_id=RUN, key="made up", score=1).feedback
    bind_runs(facts=[RunFacts(RUN, RUN)])
    Delivery.objects.filter(feedback=made).update(state=Delivery.State.DEAD)
    page = admin_client.get("/feedback/")
    assert {"made up", "reply_received"} <= set(page.context["keys"])
    letters = admin_client.get(
        f"/admin/feedback_app/delivery/?state__exact=dead&feedback__id__exact={made.pk}"
    )
    assert letters.context["cl"].result_count == 1
    assert letters.request["QUERY_STRING"].replace("&", "&amp;") in page.content.decode()


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"minimum": 5, "maximum": 1}, "maximum"),
        ({"kind": "category", "categories": {"a": 1}}, "categories"),
        ({"kind": "category", "categories": []}, "categories"),
    ],
)
def test_a_key_that_nothing_could_satisfy_is_refused(rule: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FeedbackKey(key="odd", **rule).full_clean()
    assert field in caught.value.message_dict


def test_hostile_text_is_kept_as_text() -> None:
    text = "'; DROP TABLE x; -- \x00 \ud800 <script>"
    made = submit_feedback(
        run_id=RUN, key="note", comment=text, value={"a\x00": ["\x00", r"\u0000", "\ud800"]}
    )
    assert made.feedback.comment == "'; DROP TABLE x; --  ? <script>"
    assert made.feedback.value == {"a": ["", r"\u0000", "?"]}


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("submit_feedback", RUN, "reply_received", "--score", "1", "--source-event-id", "e9")
    call_command("submit_feedback", RUN, "reply_received", "--score", "1", "--source-event-id", "e9")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["created", "unchanged"]
    with pytest.raises(CommandError, match="run_id: must be a UUID"):
        call_command("submit_feedback", "x", "k", "--score", "1")
