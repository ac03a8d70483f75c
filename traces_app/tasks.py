"""Housekeeping of the trace store."""

from __future__ import annotations

from django.core.management import call_command
from procrastinate.contrib.django import app


@app.periodic(cron="7 * * * *")
@app.task(queue="traces", queueing_lock="make_trace_partitions", pass_context=False)
def make_trace_partitions(timestamp: int) -> None:
    call_command("make_partitions", verbosity=0)


@app.periodic(cron="37 3 * * *")
@app.task(queue="traces", queueing_lock="prune_traces", pass_context=False)
def prune_traces(timestamp: int) -> None:
    call_command("prune_traces", verbosity=0)
