"""Writes to feedback: submit, retract, send again. One transaction each, the delivery job inside it."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from feedback_app.models import Delivery, Feedback, FeedbackKey
from feedback_app.store import (
    SOURCES,
    UPSERT,
    FeedbackError,
    FeedbackRecord,
    FeedbackSource,
    clean_text,
    parameters,
    parse_key,
    parse_score,
    parse_uuid,
)
from feedback_app.tasks import deliver_feedback

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names under which feedback ids are made from what they are about.
NAMESPACE = uuid.UUID("0d0f7c54-5a3f-5d8e-9a54-3c0b1f6a7e21")


@dataclass(frozen=True, slots=True)
class SubmitResult:
    feedback: Feedback
    created: bool


@transaction.atomic
def submit_feedback(
    *,
    run_id: str,
    key: str,
    score: float | None = None,
    value: Any = None,
    comment: str = "",
    source: FeedbackSource = "api",
    source_event_id: str = "",
    actor: str = "",
    project: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> SubmitResult:
    """Rate a run, also one that has not arrived yet.

    A repeat with the same run, key and source event changes nothing; another score for the same event is an
    edit and keeps its history. Without a source event, a person has one rating per run and key, and anything
    else is told apart by what it says. Raises FeedbackError naming the field.
    """
    if source not in SOURCES:
        raise FeedbackError("source", f"must be one of {', '.join(SOURCES)}")
    rating = {"score": parse_score(score), "value": value, "comment": clean_text(comment, "comment")}
    record = FeedbackRecord(
        id=feedback_id(str(run_id), key, source, source_event_id or _event_of(source, actor, rating)),
        run_id=parse_uuid(run_id, "run_id") or "",
        key=parse_key(key),
        source=source,
        source_event_id=clean_text(source_event_id, "source_event_id")[:255],
        rater=clean_text(actor, "actor")[:255],
        source_metadata=metadata or {},
        project=project,
        **rating,
    )
    _check_key(record)
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, parameters(record))
        changed = cursor.fetchone()
    feedback = Feedback.objects.get(pk=record.id)
    if changed is not None:
        _plan_delivery(feedback)
    return SubmitResult(feedback, created=bool(changed and changed[0]))


@transaction.atomic
def retract_feedback(*, feedback: Feedback, actor: str = "") -> bool:
    """Take a rating back; it stays in the history. False when it was taken back before."""
    now = timezone.now()
    changed = Feedback.objects.filter(pk=feedback.pk, retracted_at=None).update(
        retracted_at=now, modified_at=now, rater=actor or feedback.rater
    )
    if changed:
        feedback.refresh_from_db()
        _plan_delivery(feedback)
    return bool(changed)


@transaction.atomic
def resend(*, delivery: Delivery) -> None:
    """Give a dead letter its tries again."""
    Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.PENDING, attempts=0, last_error="")
    deliver_feedback.defer(delivery_id=delivery.pk)


def feedback_id(run_id: str, key: str, source: str, event: str) -> str:
    """The id of a rating, the same for every repeat of it."""
    return str(uuid.uuid5(NAMESPACE, json.dumps([run_id.lower(), key, source, event])))


def _event_of(source: str, actor: str, rating: Mapping[str, Any]) -> str:
    if source == "human" and actor:
        return f"rater:{actor}"
    content = json.dumps([actor, rating], sort_keys=True, default=str)
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()


def _check_key(record: FeedbackRecord) -> None:
    """Hold a rating to what its key allows; keys nobody described are taken as they come."""
    if record.score is None and record.value is None and not record.comment:
        raise FeedbackError("score", "give a score, a value or a comment")
    known = FeedbackKey.objects.filter(pk=record.key).first()
    if known is None:
        return
    if record.score is not None:
        below = known.minimum is not None and record.score < known.minimum
        above = known.maximum is not None and record.score > known.maximum
        if below or above:
            raise FeedbackError("score", f"must be from {known.minimum} to {known.maximum} for {record.key}")
    if known.kind == FeedbackKey.Kind.CATEGORY and record.value not in known.categories:
        raise FeedbackError("value", f"must be one of {known.categories} for {record.key}")


def _plan_delivery(feedback: Feedback) -> None:
    """Row and job are committed with the rating, or not at all; without an endpoint there is nowhere to send."""
    if not settings.LANGSMITH_ENDPOINT:
        return
    delivery = Delivery.objects.create(feedback=feedback, endpoint=settings.LANGSMITH_ENDPOINT)
    deliver_feedback.defer(delivery_id=delivery.pk)
