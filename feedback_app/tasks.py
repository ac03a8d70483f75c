"""The jobs of this app; what they do stands in `deliver.py`."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

#: 8 tries over about 8 minutes (2, 4, … 256 s), then the delivery is a dead letter.
TRIES = 8


@app.task(
    name="feedback.deliver",
    queue="feedback",
    retry=RetryStrategy(max_attempts=TRIES - 1, exponential_wait=2),
)
def deliver_feedback(delivery_id: int) -> None:
    from feedback_app.deliver import deliver

    deliver(delivery_id, tries=TRIES)
