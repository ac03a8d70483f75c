"""Periodic jobs of the observability plane: diagnose what has settled, tie feedback to runs, keep house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.core.management import call_command
from procrastinate.contrib.django import app

from routing_app.probes import refused_calls
from traces_app.diagnose import FLUSH_GRACE
from traces_app.hops import tell_heads
from traces_app.models import TraceHead
from traces_app.selectors import get_tree
from traces_app.services import bind_feedback, store_findings, store_refused_calls
from traces_app.stitch import STALL_AFTER

QUEUE = "traces"
#: Each trace falls into two windows, so that a late start of one misses none; storing again adds nothing.
WINDOW = timedelta(seconds=70)
SETTLED = FLUSH_GRACE + timedelta(seconds=5)
MAX_TRACES = 1000


@app.periodic(cron="* * * * * */30")
@app.task(name="traces.diagnose", queue=QUEUE, queueing_lock="traces.diagnose", pass_context=False)
def diagnose_settled(timestamp: int) -> None:
    diagnose_at(datetime.fromtimestamp(timestamp, UTC))


@app.periodic(cron="* * * * * */30")
@app.task(name="traces.refused_calls", queue=QUEUE, queueing_lock="traces.refused_calls")
def find_refused_calls(timestamp: int) -> None:
    store_refused_calls(refused_calls())


@app.periodic(cron="* * * * * */30")
@app.task(name="traces.tell_heads", queue=QUEUE, queueing_lock="traces.tell_heads")
def tell_heads_of_calls(timestamp: int) -> None:
    tell_heads()


@app.periodic(cron="* * * * * */15")
@app.task(name="traces.bind_feedback", queue=QUEUE, queueing_lock="traces.bind_feedback")
def bind_waiting(timestamp: int) -> None:
    bind_feedback()


@app.periodic(cron="7 * * * *")
@app.task(queue="traces", queueing_lock="make_trace_partitions", pass_context=False)
def make_trace_partitions(timestamp: int) -> None:
    call_command("make_partitions", verbosity=0)


@app.periodic(cron="37 3 * * *")
@app.task(queue="traces", queueing_lock="prune_traces", pass_context=False)
def prune_traces(timestamp: int) -> None:
    call_command("prune_traces", verbosity=0)


def diagnose_at(now: datetime) -> int:
    """Diagnose traces that have been quiet for as long as spans can be on their way; returns new sightings."""
    settled = TraceHead.objects.filter(updated_at__gt=now - SETTLED - WINDOW, updated_at__lte=now - SETTLED)
    stalled = TraceHead.objects.filter(
        updated_at__gt=now - STALL_AFTER - WINDOW, updated_at__lte=now - STALL_AFTER, open_runs__gt=0
    )
    seen: set[str] = set()
    new = 0
    for heads in (settled, stalled):
        for trace_id in heads.order_by("updated_at").values_list("trace_id", flat=True)[:MAX_TRACES]:
            if str(trace_id) in seen:
                continue
            tree = get_tree(str(trace_id), now=now)
            if tree is not None:
                seen.update(tree.trace_ids)
                new += store_findings(tree, now=now)
    return new
