"""One delivery of one feedback to the LangSmith endpoint in use, through the real client.

At-least-once: the feedback's own id makes a repeat harmless at the other end. The row is read when it
is sent, so a late job carries the newest content.
"""

from __future__ import annotations

import logging
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from feedback_app.models import Delivery, Feedback
from feedback_app.store import ECHO_HEADER, ECHO_MARK

if TYPE_CHECKING:
    from langsmith import Client

log = logging.getLogger(__name__)
#: Tries in all; the waits between them grow threefold from 3 s to 36 minutes.
MAX_ATTEMPTS = 8
WAIT_BASE_S = 3
_TIMEOUT_MS = (3_000, 10_000)


class TryAgainError(Exception):
    """The endpoint did not take it this time; the job is tried again later."""


def deliver(delivery_id: int) -> None:
    """Send one delivery and note how it went. Raises TryAgainError when it is worth another try."""
    delivery = Delivery.objects.select_related("feedback").filter(pk=delivery_id).first()
    if delivery is None or delivery.state != Delivery.State.PENDING:
        return
    delivery.endpoint = settings.LANGSMITH_ENDPOINT
    delivery.attempts += 1
    try:
        _send(delivery.feedback)
    except Exception as error:  # whatever client or network raise is told on the row
        _failed(delivery, error)
    else:
        delivery.last_error = ""
        _note(delivery, Delivery.State.DELIVERED)


def _failed(delivery: Delivery, error: Exception) -> None:
    delivery.last_error = _reason(error)
    if is_permanent(error) or delivery.attempts >= MAX_ATTEMPTS:
        _note(delivery, Delivery.State.DEAD)
        log.warning("feedback delivery %s is a dead letter: %s", delivery.pk, delivery.last_error)
        return
    delivery.next_try_at = timezone.now() + timedelta(seconds=WAIT_BASE_S**delivery.attempts)
    _note(delivery, Delivery.State.PENDING)
    raise TryAgainError(delivery.last_error) from None


def _note(delivery: Delivery, state: str) -> None:
    delivery.state = state
    if state != Delivery.State.PENDING:
        delivery.next_try_at = None
    if state == Delivery.State.DELIVERED:
        delivery.delivered_at = timezone.now()
    delivery.save(
        update_fields=("state", "endpoint", "attempts", "last_error", "next_try_at", "delivered_at")
    )


def is_permanent(error: Exception) -> bool:
    """A refusal that another try would meet again. 404 is not one: the run may be on its way there."""
    from langsmith import utils

    if isinstance(error, utils.LangSmithAuthError | ValueError):
        return True
    text = str(error)
    return any(f" {status} " in text or f"HTTPError('{status}" in text for status in (400, 403, 413, 422))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:2000]


def open_client() -> Client:
    """A client of the endpoint in use whose every call says that it carries a copy."""
    from langsmith import Client

    return Client(
        api_url=settings.LANGSMITH_ENDPOINT,
        api_key=settings.LANGSMITH_API_KEY,
        timeout_ms=_TIMEOUT_MS,
        auto_batch_tracing=False,
        headers={ECHO_HEADER: "1"},
    )


def _send(feedback: Feedback) -> None:
    from langsmith import utils

    with warnings.catch_warnings():
        # Feedback may precede its run, so no session id can be known; the client only warns of that.
        warnings.simplefilter("ignore")
        client = open_client()
        try:
            if feedback.retracted_at is not None:
                client.delete_feedback(feedback.pk)
            else:
                _put(client, feedback)
        except utils.LangSmithConflictError:
            return  # it is there already
        except utils.LangSmithNotFoundError:
            if feedback.retracted_at is None:
                raise
        finally:
            client.close()


def _put(client: Client, feedback: Feedback) -> None:
    given: dict[str, Any] = {
        "score": feedback.score,
        "value": feedback.value,
        "comment": feedback.comment or None,
        "correction": feedback.correction,
    }
    sent = feedback.deliveries.filter(state=Delivery.State.DELIVERED, endpoint=settings.LANGSMITH_ENDPOINT)
    if sent.exists():
        client.update_feedback(feedback.pk, **given)
        return
    client.create_feedback(
        run_id=feedback.run_id,
        key=feedback.key,
        feedback_id=feedback.pk,
        feedback_source_type="model" if feedback.source == Feedback.Source.MODEL else "api",
        # Our own ingest knows its copy by the mark; LangSmith shows who said so.
        source_info={
            **feedback.source_metadata,
            ECHO_MARK: str(feedback.pk),
            "source": feedback.source,
            "source_event_id": feedback.source_event_id,
            "rater": feedback.rater,
        },
        stop_after_attempt=1,
        extend_trace_retention=False,
        **given,
    )
