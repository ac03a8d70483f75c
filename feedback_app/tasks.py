"""Jobs of feedback: decorators around what `deliver.py` does."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from feedback_app.deliver import MAX_ATTEMPTS, WAIT_BASE_S, TryAgainError, deliver
from feedback_app.services import DELIVER_QUEUE, DELIVER_TASK


@app.task(
    name=DELIVER_TASK,
    queue=DELIVER_QUEUE,
    retry=RetryStrategy(
        max_attempts=MAX_ATTEMPTS, exponential_wait=WAIT_BASE_S, retry_exceptions=(TryAgainError,)
    ),
)
def deliver_feedback(delivery_id: int) -> None:
    deliver(delivery_id)
