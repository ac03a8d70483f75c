"""Periodic jobs run as often as they say."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from procrastinate.contrib.django import app

START = datetime(2026, 11, 22, 20, 0, 1, tzinfo=UTC).timestamp()
EVERY_S = {
    "platform_site.tasks.retry_stalled_jobs": 5,
    "routing.probe": 60,
    "traces.diagnose": 30,
    "traces.refused_calls": 30,
    "traces.tell_heads": 30,
    "traces.bind_feedback": 15,
    "traces_app.tasks.make_trace_partitions": 3600,
    "traces_app.tasks.prune_traces": 86400,
    "platform_site.tasks.delete_old_jobs": 86400,
}


@pytest.mark.parametrize(("task", "seconds"), EVERY_S.items())
def test_a_periodic_job_comes_at_even_intervals(task: str, seconds: int) -> None:
    """A field in the wrong place reads «each second of each fifth minute»."""
    (periodic,) = (each for (name, _), each in app.periodic_registry.periodic_tasks.items() if name == task)
    periodic.croniter.set_current(start_time=START)
    moments = [periodic.croniter.get_next(ret_type=float) for _ in range(400)]
    assert {round(later - sooner) for sooner, later in pairwise(moments)} == {seconds}


def test_every_periodic_job_is_listed_here() -> None:
    assert {name for name, _ in app.periodic_registry.periodic_tasks} == set(EVERY_S)
