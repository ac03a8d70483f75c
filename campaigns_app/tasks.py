"""Jobs of campaigns: decorators around what `reading.py` does."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from campaigns_app.models import InboundEvent
from campaigns_app.reading import read_message
from campaigns_app.replies import READ_QUEUE, READ_TASK
from contract.errors import LangGraphError

MAX_ATTEMPTS = 8


@app.task(
    name=READ_TASK,
    queue=READ_QUEUE,
    retry=RetryStrategy(max_attempts=MAX_ATTEMPTS, exponential_wait=3, retry_exceptions=(LangGraphError,)),
)
def read_message_job(event_id: int) -> None:
    """A message that cannot be read stays a message, with the reason: a person decides, and nothing goes out."""
    try:
        read_message(event_id)
    except LangGraphError as error:
        InboundEvent.objects.filter(pk=event_id).update(error=f"{error.kind}: {error}"[:2_000])
        raise
