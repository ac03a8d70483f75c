"""Days are made ahead and go as whole traces."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

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
    cur.execute(
        "INSERT INTO traces_app_quarantine (digest, received_at, door, reason, item, excerpt)"
        " VALUES ('old', now() - interval '1 day', 'otlp', '', '', ''), ('new', now() + interval '1 day', 'otlp', '', '', '')"
    )
    cur.execute(SIGHTINGS, {"traces": [uuid_text(kept.trace_id), uuid_text(gone.trace_id)]})
    forms: tuple[dict[str, str], ...] = (
        {"run_id": uuid_text(kept.run_id)},
        {"ls_trace_id": uuid_text(kept.trace_id)},
        {"w3c_trace_id": kept.trace_id.hex()},
        {"run_id": uuid_text(gone.run_id)},
        {},
    )
    for at, form in enumerate(forms):
        cur.execute(CALL, (Jsonb({"request_id": str(at), **form}),))
    today = datetime.now(UTC).date()
    touched = partitions.prune(cur, base_before=today + timedelta(days=1), extended_before=today)
    assert today in touched
    assert partitions.make_partitions(cur, today, 0) == 0, "a clock that went back finds the day in its month"
    both = [uuid_text(kept.trace_id), uuid_text(gone.trace_id)]
    assert [r.run_id for r in reader.load_runs(cur, both)] == [uuid_text(kept.run_id)]
    payload = reader.load_payload(cur, uuid_text(kept.run_id))
    assert payload is not None
    assert payload.inputs == {"q": 1}
    for table in ("traces_app_tracehead", "traces_app_chunk", "traces_app_runpart"):
        cur.execute(f"SELECT trace_id::text FROM {table}")
        assert {row[0] for row in cur.fetchall()} == {uuid_text(kept.trace_id)}, table
    cur.execute("SELECT digest FROM traces_app_quarantine")
    assert [bytes(digest) for (digest,) in cur.fetchall()] == [b"new"]
    cur.execute("SELECT trace_id::text FROM traces_app_findingsighting")
    assert cur.fetchall() == [(uuid_text(kept.trace_id),)]
    cur.execute("SELECT request_id FROM routing_app_dispatchrecord ORDER BY 1")
    assert [request for (request,) in cur.fetchall()] == ["0", "1", "2"]


async def test_what_stays_of_old_days_lies_in_one_partition_a_month(
    store_url: str, cur: psycopg.Cursor[Any]
) -> None:
    """A read plans over all partitions: with one for each day kept, a trace took fifteen times as long after a year."""
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2)]
    cur.execute("SELECT traces_app_make_partitions(%s, %s)", (days[0], days[-1]))
    kept = {day: make_part() for day in days}
    gone = {day: make_part() for day in days}
    await written(store_url, *kept.values(), *gone.values())
    for traces in (kept, gone):
        for day, part in traces.items():
            for table in ("traces_app_tracehead", "traces_app_runpart", "traces_app_chunk"):
                where = (day, uuid_text(part.trace_id))
                cur.execute(f"UPDATE {table} SET day = %s WHERE trace_id = %s", where)
    cur.execute(
        "UPDATE traces_app_tracehead SET retention = 'extended' WHERE trace_id = ANY(%s::uuid[])",
        ([uuid_text(part.trace_id) for part in kept.values()],),
    )
    all_ids = [uuid_text(part.trace_id) for part in (*kept.values(), *gone.values())]
    january, february = date(2024, 1, 1), date(2024, 2, 1)
    never = date(2020, 1, 1)
    assert partitions.prune(cur, base_before=date(2024, 2, 2), extended_before=never) == days[:3]
    assert partitions.prune(cur, base_before=date(2024, 2, 3), extended_before=never) == days[3:]
    assert [month for month in partitions.months(cur) if month.year == 2024] == [january, february]
    assert not {*partitions.days(cur)} & {*days}
    assert {run.run_id for run in reader.load_runs(cur, all_ids)} == {
        uuid_text(part.run_id) for part in kept.values()
    }
    assert all(reader.load_payload(cur, uuid_text(part.run_id)) for part in kept.values())
    late = make_part(trace_id=kept[days[0]].trace_id)
    await written(store_url, late)
    assert len(reader.load_runs(cur, [uuid_text(late.trace_id)])) == 2, "a part that comes late finds its day"
    partitions.prune(cur, base_before=date(2024, 2, 3), extended_before=date(2024, 2, 2))
    assert [month for month in partitions.months(cur) if month.year == 2024] == [february]
    assert [run.run_id for run in reader.load_runs(cur, all_ids)] == [uuid_text(kept[days[3]].run_id)]
    for table in ("traces_app_tracehead", "traces_app_chunk", "traces_app_runpart"):
        cur.execute(f"SELECT day FROM {table}")
        assert cur.fetchall() == [(days[3],)], table
    for parent in partitions.PARENTS:
        cur.execute(f"DROP TABLE {parent}_202402")


SIGHTINGS = """
WITH found AS (
    INSERT INTO traces_app_storedfinding (code, hop, assistant_id, severity, title, effect, remedy, howto, first_seen,
        last_seen, count, resolved_by) VALUES ('c', 'h', '', 'error', '', '', '', '', now(), now(), 2, '') RETURNING id)
INSERT INTO traces_app_findingsighting (finding_id, node_id, trace_id, seen_at, evidence)
SELECT found.id, t, t::uuid, now(), '{}' FROM found, unnest(%(traces)s::text[]) t
"""
CALL = """
INSERT INTO routing_app_dispatchrecord SELECT (jsonb_populate_record(NULL::routing_app_dispatchrecord, '{"method": "POST",
    "path": "/runs/wait", "assistant_id": "a", "pool": "EMAIL", "replica": "", "routing_version": 1, "routing_digest": "",
    "status": 200, "error_kind": "", "error": "", "graph_failed": false, "thread_id": "", "key_prefix": "", "key_name": "",
    "caller": "", "w3c_trace_id": "", "w3c_parent_id": "", "w3c_minted": false, "ls_trace_id": "", "ls_parent_run_id": "",
    "ls_project": "", "dropped_headers": [], "executed_pool": "EMAIL", "executed_graph_digest": "", "request_id": "",
    "decided_graph_digest": "", "queued_ms": 0, "ttfb_ms": 0, "total_ms": 0, "run_id": ""}'::jsonb || %s
    || jsonb_build_object('id', gen_random_uuid(), 'received_at', now(), 'ended_at', now()))).*
"""
FEEDBACK = """
INSERT INTO feedback_app_feedback SELECT (jsonb_populate_record(NULL::feedback_app_feedback, '{"key": "k", "comment": "",
    "source": "api", "source_event_id": "", "rater": "", "source_metadata": {}, "project": "", "assistant_id": "", "pool": "",
    "model": "", "prompt_version": ""}'::jsonb || jsonb_build_object('id', gen_random_uuid(), 'run_id', %s::text,
    'trace_id', %s::text, 'created_at', now(), 'modified_at', now()))).*
"""
MISROUTED = {"executed_pool": "CORE"}


async def test_an_unsampled_trace_sheds_its_values_unless_something_makes_it_worth_keeping(
    store_url: str, cur: psycopg.Cursor[Any]
) -> None:
    well, called = make_part(end=2_000_000, status=1), make_part(end=2_000_000, status=1)
    failed = make_part(end=2_000_000, status=2)
    running = make_part(status=0)
    misrouted, nested, by_w3c, broken = (make_part(end=2_000_000, status=1) for _ in range(4))
    campaign = make_part(end=2_000_000, status=1, facts={"metadata": {"campaign": "spring"}})
    rated = make_part(end=2_000_000, status=1)
    kept = [failed, running, misrouted, nested, by_w3c, broken, campaign, rated]
    await written(store_url, well, called, *kept)
    for call in (
        {"run_id": uuid_text(called.run_id)},
        {"run_id": uuid_text(misrouted.run_id), **MISROUTED},
        {"ls_trace_id": uuid_text(nested.trace_id), **MISROUTED},
        {"w3c_trace_id": by_w3c.trace_id.hex(), **MISROUTED},
        {"ls_trace_id": uuid_text(broken.trace_id), "error_kind": "timeout"},
    ):
        cur.execute(CALL, (Jsonb(call),))
    cur.execute(FEEDBACK, (uuid_text(rated.run_id), uuid_text(rated.trace_id)))
    cur.execute("SELECT traces_app_rollup::text FROM traces_app_rollup ORDER BY 1")
    counted = cur.fetchall()
    cur.execute("UPDATE traces_app_tracehead SET sampled = false")
    assert partitions.shed_unsampled(cur, before=datetime.now(UTC) + timedelta(hours=1)) == 2
    cur.execute("SELECT uuid_send(trace_id) FROM traces_app_chunk")
    assert {bytes(trace) for (trace,) in cur.fetchall()} == {part.trace_id for part in kept}
    assert len(reader.load_runs(cur, [uuid_text(part.trace_id) for part in (well, called, *kept)])) == 10
    cur.execute("SELECT traces_app_rollup::text FROM traces_app_rollup ORDER BY 1")
    assert cur.fetchall() == counted


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
