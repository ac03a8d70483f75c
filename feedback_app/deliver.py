"""Send one feedback to the LangSmith endpoint in use, through LangSmith's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from feedback_app.models import Delivery, Feedback
from feedback_app.store import ECHO_MARK

if TYPE_CHECKING:
    from langsmith import Client


def deliver(delivery_id: int, *, tries: int) -> None:
    """Send what the feedback says now; safe to repeat, since the endpoint knows it by its id.

    Raises what the endpoint said, so that the job is retried; after `tries` it is a dead letter instead.
    """
    delivery = Delivery.objects.select_related("feedback").filter(pk=delivery_id).first()
    if delivery is None or delivery.state != Delivery.State.PENDING:
        return
    try:
        send(delivery.feedback)
    except Exception as error:
        if not note_failure(delivery, error, tries):
            return
        raise
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.DELIVERED,
        delivered_at=timezone.now(),
        last_error="",
        attempts=delivery.attempts + 1,
    )


@transaction.atomic
def note_failure(delivery: Delivery, error: Exception, tries: int) -> bool:
    """Write down a failed try; true while there are tries left."""
    attempts = delivery.attempts + 1
    state = Delivery.State.PENDING if attempts < tries else Delivery.State.DEAD
    Delivery.objects.filter(pk=delivery.pk).update(
        attempts=attempts, state=state, last_error=f"{type(error).__name__}: {error}"[:2_000]
    )
    return state is Delivery.State.PENDING


def send(feedback: Feedback) -> None:
    """Create, edit or delete the endpoint's copy; the id is ours, so a repeat meets the same row."""
    client = langsmith_client()
    if feedback.retracted_at is not None:
        client.delete_feedback(feedback.pk)
        return
    client.create_feedback(
        run_id=feedback.run_id,
        key=feedback.key,
        score=feedback.score,
        value=feedback.value,
        comment=feedback.comment or None,
        correction=feedback.correction,
        feedback_id=feedback.pk,
        feedback_source_type="model" if feedback.source == Feedback.Source.MODEL else "api",
        source_info=source_info(feedback),
        stop_after_attempt=1,  # the job retries, with longer pauses than a request can wait
    )


def source_info(feedback: Feedback) -> dict[str, Any]:
    return {
        **feedback.source_metadata,
        ECHO_MARK: True,
        "source": feedback.source,
        "source_event_id": feedback.source_event_id,
        "rater": feedback.rater,
    }


def langsmith_client() -> Client:
    from langsmith import Client

    return Client(
        api_url=settings.LANGSMITH_ENDPOINT, api_key=settings.LANGSMITH_API_KEY, auto_batch_tracing=False
    )
