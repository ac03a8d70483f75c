"""Days are made ahead and go as whole traces."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from traces_app.store import partitions, reader
from traces_app.store.records import Bundle, RunPart, uuid_text
from traces_app.store.writer import Writer

from .parts import make_part, sealed


async def written(url: str, *parts: RunPart) -> None:
    conn = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with conn:
        await Writer(price=lambda _run: None).write(conn, [sealed(Bundle(parts=list(parts)))])


def test_partitions_are_made_once(store_url: str, cur: psycopg.Cursor[Any]) -> None:
    far = date(2031, 5, 1)
    assert partitions.make_partitions(cur, far, 1) == 6
    assert partitions.make_partitions(cur, far, 1) == 0
    assert {far, far + timedelta(days=1)} <= set(partitions.days(cur))
    for day in (far, far + timedelta(days=1)):
        for parent in partitions.PARENTS:
            cur.execute(f"DROP TABLE {parent}_{day:%Y%m%d}")


async def test_pruning_leaves_whole_traces_and_no_orphans(store_url: str, cur: psycopg.Cursor[Any]) -> None:
    kept, gone = make_part(), make_part()
    await written(store_url, kept, gone)
    cur.execute(
        "UPDATE traces_app_tracehead SET retention = 'extended' WHERE trace_id = %s",
        (uuid_text(kept.trace_id),),
    )
    today = datetime.now(UTC).date()
    touched = partitions.prune(cur, base_before=today + timedelta(days=1), extended_before=today)
    assert today in touched
    both = [uuid_text(kept.trace_id), uuid_text(gone.trace_id)]
    assert [r.run_id for r in reader.load_runs(cur, both)] == [uuid_text(kept.run_id)]
    payload = reader.load_payload(cur, uuid_text(kept.run_id))
    assert payload is not None
    assert payload.inputs == {"q": 1}
    for table in ("traces_app_tracehead", "traces_app_chunk", "traces_app_runpart"):
        cur.execute(f"SELECT trace_id::text FROM {table}")
        assert {row[0] for row in cur.fetchall()} == {uuid_text(kept.trace_id)}, table


@pytest.mark.parametrize("status", [1, 2])
async def test_an_unsampled_trace_sheds_its_values_unless_it_failed(
    store_url: str, cur: psycopg.Cursor[Any], status: int
) -> None:
    part = make_part(status=status, end=2_000_000)
    await written(store_url, part)
    cur.execute("UPDATE traces_app_tracehead SET sampled = false")
    shed = partitions.shed_unsampled(cur, before=datetime.now(UTC) + timedelta(hours=1))
    assert shed == (1 if status == 1 else 0)
    assert len(reader.load_runs(cur, [uuid_text(part.trace_id)])) == 1


@pytest.mark.django_db
def test_a_missing_tomorrow_is_w001() -> None:
    from django.core.checks import run_checks
    from django.db import connection

    def found() -> list[str | None]:
        return [m.id for m in run_checks(databases=["default"]) if (m.id or "").startswith("traces_app")]

    with connection.cursor() as cursor:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        if tomorrow in partitions.days(cursor):
            for parent in partitions.PARENTS:
                cursor.execute(f"DROP TABLE {parent}_{tomorrow:%Y%m%d}")
        assert found() == ["traces_app.W001"]
        partitions.make_partitions(cursor, tomorrow, 0)
        assert found() == []
