"""Actions without a fault, through the real door into the real store: no detector of the real job speaks.

`CLEAN_AT_DOOR` of them (200 unless set; `make faults` sends ten thousand), in the shapes of `tests/traces/test_clean.py`.
"""

from __future__ import annotations

import os
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from msgspec.structs import asdict, replace

from routing_app.models import DispatchRecord
from tests.traces.conftest import http, server, store_url  # noqa: F401 fixtures
from tests.traces.scenes import T0
from tests.traces.test_clean import healthy
from tests.traces.test_reads import langsmith
from traces_app import tasks
from traces_app.models import DIAGNOSE, Bookmark, FindingSighting, TraceHead
from traces_app.rows import DispatchRow, RunRow

if TYPE_CHECKING:
    import httpx

Row = TypeVar("Row", RunRow, DispatchRow)

pytestmark = pytest.mark.processes
COUNT = int(os.environ.get("CLEAN_AT_DOOR", "200"))
TOGETHER = 20
_UUIDS = (
    "run_id",
    "trace_id",
    "parent_run_id",
    "dispatch_id",
    "id",
    "request_id",
    "ls_trace_id",
    "ls_parent_run_id",
)


def test_no_false_alarm_over_clean_actions_that_came_through_the_door(
    http: httpx.Client,  # noqa: F811
) -> None:
    tasks.diagnose_at(datetime.now(UTC))  # from here on it follows
    chosen = random.Random(11)
    shift = datetime.now(UTC) - timedelta(minutes=30) - T0
    for first in range(0, COUNT, TOGETHER):
        posts: list[dict[str, Any]] = []
        records = []
        for number in range(first, min(first + TOGETHER, COUNT)):
            runs, hops = healthy(chosen)
            posts += [langsmith(_own(run, number), shift) for run in runs]
            records += [_record(_own(hop, number), shift) for hop in hops]
        assert http.post("/langsmith/runs/batch", json={"post": posts, "patch": []}).status_code == 202
        DispatchRecord.objects.bulk_create(records)
    newest = TraceHead.objects.latest("updated_at").updated_at
    before = None
    while (at := Bookmark.objects.get(job=DIAGNOSE).updated_at) != newest:
        assert at != before, "a pass of the job moved on by nothing"
        before = at
        tasks.diagnose_at(datetime.now(UTC) + tasks.SETTLED)
    assert TraceHead.objects.count() >= COUNT
    told = FindingSighting.objects.values_list("finding__code", "finding__title", "trace_id")
    assert list(told[:5]) == []


def _own(row: Row, number: int) -> Row:
    """The row with ids of its action."""
    had = {name: value for name, value in asdict(row).items() if name in _UUIDS}
    given: dict[str, Any] = {name: _id(value, number) for name, value in had.items() if value}
    if row.w3c_trace_id:
        given["w3c_trace_id"] = _id(row.w3c_trace_id, number).replace("-", "")
    return replace(row, **given)


def _id(text: str, number: int) -> str:
    return str(uuid.uuid5(uuid.UUID(text), str(number)))


def _record(hop: DispatchRow, shift: timedelta) -> DispatchRecord:
    values = {name: value for name, value in asdict(hop).items() if value is not None}
    values |= {
        "received_at": hop.received_at + shift,
        "ended_at": (hop.ended_at or hop.received_at) + shift,
        "dropped_headers": list(hop.dropped_headers),
    }
    return DispatchRecord(**values)
