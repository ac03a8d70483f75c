"""Everything that changes feedback: give, edit, retract, bind to an arrived run, deliver, send again."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from feedback_app.models import Delivery, Feedback, FeedbackKey
from feedback_app.store import (
    UPSERT,
    FeedbackError,
    FeedbackRecord,
    FeedbackSource,
    KeyRule,
    check_key,
    clean_text,
    parameters,
    parse_key,
    parse_score,
    parse_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry_app.audit import Actor

#: Namespace of the ids derived from (run, key, source event), so that a repeat meets its first copy.
_NAMESPACE = uuid.UUID("0d0f7c54-5a3f-5d8e-9a54-3c0b1f6a7e21")
KEY_RULE = ("kind", "minimum", "maximum", "categories")
_TEXT_MAX = 255
_COMMENT_MAX = 10_000


def _as_it_is(value: Any, project: str) -> Any:
    return value


#: Takes out of what is said of a run of a project what may not be stored. The rules lie above this app: whoever keeps
#: them sets it.
redact: Callable[[Any, str], Any] = _as_it_is
DELIVER_TASK = "feedback.deliver"
DELIVER_QUEUE = "feedback"


@dataclass(frozen=True, slots=True)
class SubmitResult:
    feedback: Feedback
    #: False for a repeat and for an edit.
    created: bool
    #: True when the row is another than before.
    changed: bool


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What roll-ups need of a run, pushed down once it has arrived."""

    run_id: str
    trace_id: str
    assistant_id: str = ""
    pool: str = ""
    model: str = ""
    prompt_version: str = ""
    routing_version: int | None = None
    #: Feedback of another project's key never binds to it.
    project: str = ""


@transaction.atomic
def submit_feedback(
    *,
    run_id: str | uuid.UUID,
    key: str,
    score: float | bool | None = None,
    value: Any = None,
    comment: str | None = "",
    source: str = "api",
    source_event_id: str = "",
    actor: Actor | str | None = None,
    project: str = "",
    metadata: Mapping[str, Any] | None = None,
    trace_id: str | None = None,
) -> SubmitResult:
    """Store what somebody or something says of a run, and its way to LangSmith, in one transaction.

    The run need not have arrived; who knows its trace may say so, else `place_runs` does. One row for each (run, key, source event); without a source event one
    for each rater. A repeat changes nothing; other content edits the row and its history keeps both.
    Raises FeedbackError naming the field.
    """
    given = _record(run_id, key, score, value, comment, source, source_event_id, actor)
    record = replace(
        given,
        value=redact(given.value, project),
        comment=redact(given.comment, project),
        project=project,
        source_metadata=metadata or {},
        trace_id=trace_id,
    )
    rule = FeedbackKey.objects.filter(pk=record.key).values_list(*KEY_RULE).first()
    check_key(record, KeyRule(*rule) if rule else None)
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, parameters(record))
        row = cursor.fetchone()
    feedback = Feedback.objects.get(pk=record.id)
    if row is not None:
        _send(feedback)
    return SubmitResult(feedback, created=bool(row and row[0]), changed=row is not None)


def _record(
    run_id: str | uuid.UUID,
    key: str,
    score: float | bool | None,
    value: Any,
    comment: str | None,
    source: str,
    source_event_id: str,
    actor: Actor | str | None,
) -> FeedbackRecord:
    run, name = parse_uuid(run_id, "run_id") or "", parse_key(key)
    if source not in get_args(FeedbackSource):
        raise FeedbackError("source", f"must be one of {', '.join(get_args(FeedbackSource))}")
    event = _short(source_event_id, "source_event_id", _TEXT_MAX)
    rater = _short(actor if isinstance(actor, str) or actor is None else actor.name, "actor", _TEXT_MAX)
    number = parse_score(score)
    text = _short(comment, "comment", _COMMENT_MAX)
    if number is None and value is None and not text:
        raise FeedbackError("score", "give a score, a value or a comment")
    told_apart = event or _event_of(source, rater, [number, value, text])
    now = datetime.now(UTC)
    return FeedbackRecord(
        id=str(uuid.uuid5(_NAMESPACE, json.dumps([run, name, told_apart]))),
        run_id=run,
        key=name,
        score=number,
        value=value,
        comment=text,
        source=source,  # type: ignore[arg-type] # checked above
        source_event_id=event,
        rater=rater,
        created_at=now,
        modified_at=now,
    )


def _event_of(source: str, rater: str, rating: list[Any]) -> str:
    if source == "human" and rater:
        return f"rater:{rater}"
    content = json.dumps([source, rater, rating], sort_keys=True, default=str)
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()


def _short(raw: str | None, name: str, limit: int) -> str:
    text = clean_text(raw, name)
    if len(text) > limit:
        raise FeedbackError(name, f"must be at most {limit:,} characters")
    return text


@transaction.atomic
def retract_feedback(*, feedback_id: str | uuid.UUID, actor: Actor | str | None = None) -> bool:
    """Take feedback back; its row and history stay. False when it was already. Raises Feedback.DoesNotExist."""
    feedback = Feedback.objects.select_for_update(no_key=True).get(
        pk=parse_uuid(feedback_id, "feedback_id") or ""
    )
    if feedback.retracted_at is not None:
        return False
    feedback.retracted_at = feedback.modified_at = timezone.now()
    if actor is not None:
        feedback.rater = (actor if isinstance(actor, str) else actor.name)[:_TEXT_MAX]
    feedback.save(update_fields=("retracted_at", "modified_at", "rater"))
    _send(feedback)
    return True


def _send(feedback: Feedback) -> None:
    """The outbox row and its job, in the transaction of the change itself; without an endpoint nothing leaves."""
    if not settings.LANGSMITH_ENDPOINT:
        return
    delivery = Delivery.objects.create(feedback=feedback, endpoint=settings.LANGSMITH_ENDPOINT)
    _defer(delivery)


def _defer(delivery: Delivery) -> None:
    # One at a time for each feedback: an edit never overtakes what it edits.
    jobs.configure_task(DELIVER_TASK, queue=DELIVER_QUEUE, lock=f"feedback:{delivery.feedback_id}").defer(
        delivery_id=delivery.pk
    )


@transaction.atomic
def resend(*, delivery_id: int) -> bool:
    """Give a dead letter a new start. False when it is not one."""
    revived = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.DEAD).update(
        state=Delivery.State.PENDING, attempts=0, next_try_at=None
    )
    if revived:
        _defer(Delivery.objects.get(pk=delivery_id))
    return bool(revived)


@transaction.atomic
def place_runs(*, runs: Iterable[tuple[str, str, str]]) -> None:
    """Note the trace of runs that are still at work, so that what is said of them is found by it.

    Takes (run id, trace id, project) of each.
    """
    for run_id, trace_id, project in sorted(runs):
        waiting = Feedback.objects.filter(run_id=run_id, trace_id=None, project__in=("", project))
        waiting.update(trace_id=trace_id)


@transaction.atomic
def bind_runs(*, facts: Iterable[RunFacts]) -> int:
    """Tie waiting feedback to runs that have arrived; returns how many rows were bound."""
    bound, now = 0, timezone.now()
    for run in sorted(facts, key=lambda one: one.run_id):
        waiting = Feedback.objects.filter(run_id=run.run_id, bound_at=None, project__in=("", run.project))
        bound += waiting.update(
            bound_at=now,
            trace_id=run.trace_id,
            assistant_id=run.assistant_id[:_TEXT_MAX],
            pool=run.pool[:64],
            model=run.model[:_TEXT_MAX],
            prompt_version=run.prompt_version[:_TEXT_MAX],
            routing_version=run.routing_version,
        )
    return bound
