from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from routing_app.dispatcher.metrics import Metrics
from routing_app.dispatcher.records import Record, Recorder
from routing_app.live import LiveState

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pool_has_one_histogram_however_its_requests_ended(tmp_path: Path) -> None:
    metrics = Metrics()
    for pool, status, kind, took_ms in (
        ("EMAIL", 200, "", 4.0), ("EMAIL", 200, "", 20.0), ("EMAIL", 503, "backend", 400_000.0), ("CORE", 200, "", 20.0),
    ):  # fmt: skip
        record = Record(
            "id", datetime.now(UTC), "id", "POST", "/runs/wait", pool=pool, status=status, error_kind=kind,
            total_ms=took_ms,
        )  # fmt: skip
        metrics.observe(record)
    live = LiveState("", tmp_path, "dispatcher")
    text = metrics.render(live, 1, [], Recorder("", tmp_path), 0).decode().splitlines()
    assert 'dispatcher_requests_total{pool="EMAIL",status="200",kind=""} 2' in text
    assert 'dispatcher_requests_total{pool="EMAIL",status="503",kind="backend"} 1' in text
    buckets = [line for line in text if line.startswith('dispatcher_request_seconds_bucket{pool="EMAIL"')]
    assert [int(line.rpartition(" ")[2]) for line in buckets] == [1, 1, *[2] * 12, 3]
    assert 'dispatcher_request_seconds_sum{pool="EMAIL"} 400.024000' in text
    assert 'dispatcher_request_seconds_count{pool="EMAIL"} 3' in text
    assert 'dispatcher_request_seconds_count{pool="CORE"} 1' in text
