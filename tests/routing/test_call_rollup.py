"""Home's figures come from counts kept as calls are stored: they must be those of the records themselves."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from platform_site.home import first_slot, home
from routing_app.dispatcher.records import INSERT, Record
from routing_app.models import CallRollup, DispatchRecord, Pool

pytestmark = pytest.mark.django_db


def call(chance: random.Random, pool: str, *, total_ms: float | None = None) -> Record:
    failed = chance.random() < 0.2
    at = timezone.now() - timedelta(minutes=chance.uniform(0, 230))
    return Record(
        id=str(UUID(int=chance.getrandbits(128))),
        received_at=at,
        request_id="r",
        method="POST",
        path="/runs/wait",
        pool=pool,
        status=chance.choice((200, 502)) if failed else 200,
        error_kind="backend" if failed else "",
        total_ms=chance.lognormvariate(5, 1.5) if total_ms is None else total_ms,
        ended_at=at,
    )


def store(records: list[Record]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [msgspec.json.encode(records).decode()])


def test_home_tells_of_each_pool_what_its_records_say() -> None:
    for place, slug in enumerate(("EMAIL", "CORE")):
        Pool.objects.create(slug=slug, position=place, base_urls=["http://127.0.0.1:1"], secret_env="S")
    chance = random.Random(7)
    records = [call(chance, pool) for pool in ("EMAIL", "CORE", "") for _ in range(300)]
    for at in range(0, len(records), 100):
        store(records[at : at + 100])
    seen = home({})
    assert {tile.slug for tile in seen.tiles} == {"EMAIL", "CORE"}
    within = [one for one in records if one.received_at >= first_slot(seen.now)]
    for tile in seen.tiles:
        of = [one for one in within if one.pool == tile.slug]
        times = sorted(one.total_ms for one in of)
        assert (tile.calls, tile.errors) == (len(of), sum(bool(one.error_kind) for one in of))
        assert tile.p95 is not None
        assert tile.p95 * 1000 == pytest.approx(times[int(0.95 * (len(times) - 1))], rel=0.06)
        recent = [one for one in of if one.error_kind and one.received_at >= seen.now - timedelta(minutes=15)]
        if recent:
            assert tile.since is not None
            assert tile.since <= min(one.received_at for one in recent)
    assert seen.refused == sum(bool(one.error_kind) for one in within if not one.pool)


def test_a_replay_of_records_counts_nothing_twice() -> None:
    chance = random.Random(8)
    records = [call(chance, "EMAIL") for _ in range(50)]
    store(records[:30])
    store(records)
    store(records)
    assert DispatchRecord.objects.count() == 50
    assert sum(CallRollup.objects.values_list("calls", flat=True)) == 50


@pytest.mark.parametrize("total_ms", [0.0, -5.0, 1e300, 1.0])
def test_no_duration_keeps_a_record_from_being_stored(total_ms: float) -> None:
    store([call(random.Random(9), "EMAIL", total_ms=total_ms)])
    (row,) = CallRollup.objects.all()
    assert (row.calls, row.bucket) == (1, 191 if total_ms > 1 else 0)
