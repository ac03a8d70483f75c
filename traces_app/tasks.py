"""Periodic jobs of the observability plane: diagnose what has settled, tie feedback to runs, keep house."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.management import call_command
from django.db.models import Q
from procrastinate.contrib.django import app

from routing_app.probes import refused_calls
from traces_app.diagnose import FLUSH_GRACE
from traces_app.hops import tell_heads
from traces_app.models import DIAGNOSE, Bookmark, TraceHead
from traces_app.selectors import get_tree
from traces_app.services import BIND_EVERY_S, bind_feedback, store_findings, store_refused_calls
from traces_app.stitch import STALL_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

log = logging.getLogger(__name__)
QUEUE = "traces"
SETTLED = FLUSH_GRACE + timedelta(seconds=5)
#: How far back the very first pass looks.
FIRST_LOOK = timedelta(seconds=70)
#: Traces between two notes of how far a pass has come, and how long it may take: what is left the next one does.
PAGE = 200
PASS_S = 25.0


@app.periodic(cron="* * * * * */30")
@app.task(name=DIAGNOSE, queue=QUEUE, queueing_lock=DIAGNOSE, pass_context=False)
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


@app.periodic(cron=f"* * * * * */{BIND_EVERY_S}")
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
    ends = time.monotonic() + PASS_S
    open_ones = TraceHead.objects.filter(open_runs__gt=0)
    seen: set[str] = set()
    new = 0
    for trace_id in chain(
        _follow(DIAGNOSE, TraceHead.objects.all(), now - SETTLED, ends),
        _follow("traces.diagnose stalled", open_ones, now - STALL_AFTER, ends),
    ):
        if trace_id in seen:
            continue
        try:
            tree = get_tree(trace_id, now=now)
            if tree is not None:
                seen.update(tree.trace_ids)
                new += store_findings(tree, now=now)
        except Exception:  # one that cannot be diagnosed must not keep all later ones from it
            log.exception("trace %s was not diagnosed", trace_id)
    return new


def _follow(job: str, heads: QuerySet[TraceHead], until: datetime, ends: float) -> Iterator[str]:
    """Traces by their last news, from where the job was left. None is skipped: what time does not suffice for waits."""
    mark, _ = Bookmark.objects.get_or_create(
        job=job, defaults={"updated_at": until - FIRST_LOOK, "trace_id": UUID(int=0)}
    )
    while True:
        after = Q(updated_at__gt=mark.updated_at) | Q(trace_id__gt=mark.trace_id)
        window = heads.filter(after, updated_at__gte=mark.updated_at, updated_at__lte=until)
        page = window.order_by("updated_at", "trace_id").values_list("updated_at", "trace_id")[:PAGE]
        found = list(page)
        yield from (str(trace_id) for _, trace_id in found)
        if found:
            mark.updated_at, mark.trace_id = found[-1]
            mark.save()
        if len(found) < PAGE:
            return
        if time.monotonic() > ends:
            log.warning("%s is %d s behind", job, (until - mark.updated_at).total_seconds())
            return
