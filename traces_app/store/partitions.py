"""Partitions made ahead and dropped behind; what a trace leaves when it goes.

Works on any psycopg cursor inside the caller's transaction.
"""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants and dates
from datetime import date, timedelta
from typing import Any

PARENTS = ("traces_app_runpart", "traces_app_chunk", "traces_app_attachment")
AHEAD_DAYS = 7

_NAMED = """
SELECT name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, substring(c.relname from %s) name
WHERE i.inhparent = 'traces_app_runpart'::regclass AND name IS NOT NULL ORDER BY 1
"""
_EXTEND = """
UPDATE traces_app_tracehead h SET retention = 'extended' WHERE h.day < %(before)s AND h.retention = 'base'
AND EXISTS (SELECT FROM feedback_app_feedback f WHERE f.trace_id = h.trace_id OR f.run_id = h.root_run_id)
"""
#: Where a finding was seen, of traces that are gone; that and how often it was seen stays with the finding.
_FORGET = """
DELETE FROM traces_app_findingsighting s WHERE s.seen_at < %(before)s
AND NOT EXISTS (SELECT FROM traces_app_tracehead h WHERE h.trace_id = s.trace_id)
"""
#: Calls of that time too, but for those that a trace which stays is stitched by.
_FORGET_CALLS = """
WITH kept AS MATERIALIZED (
    SELECT unnest(ARRAY[h.trace_id::text, replace(h.trace_id::text, '-', ''), coalesce(h.root_run_id::text, '')]) AS id
    FROM traces_app_tracehead h WHERE h.day < %(before)s)
DELETE FROM routing_app_dispatchrecord d WHERE d.received_at < %(before)s
AND d.run_id NOT IN (SELECT id FROM kept WHERE id <> '') AND d.ls_trace_id NOT IN (SELECT id FROM kept WHERE id <> '')
AND d.w3c_trace_id NOT IN (SELECT id FROM kept WHERE id <> '')
"""
_SHED = """
WITH over AS (
    UPDATE traces_app_tracehead h SET shed_at = now()
    WHERE NOT h.sampled AND h.shed_at IS NULL AND h.errors = 0 AND h.open_runs = 0 AND h.updated_at < %(before)s
    AND h.retention = 'base' AND NOT EXISTS (SELECT FROM unnest(h.facts) f WHERE f LIKE 'meta.campaign%%')
    AND NOT EXISTS (SELECT FROM feedback_app_feedback f WHERE f.trace_id = h.trace_id OR f.run_id = h.root_run_id)
    AND NOT EXISTS (
        SELECT FROM routing_app_dispatchrecord d WHERE (d.run_id = h.root_run_id::text
            OR d.ls_trace_id = h.trace_id::text OR d.w3c_trace_id = replace(h.trace_id::text, '-', ''))
        AND (d.error_kind <> '' OR d.graph_failed OR (d.executed_pool <> '' AND d.executed_pool <> d.pool)))
    RETURNING h.trace_id, h.day)
DELETE FROM traces_app_chunk c USING over WHERE c.trace_id = over.trace_id AND c.day = over.day
"""


def make_partitions(cur: Any, today: date, ahead_days: int = AHEAD_DAYS) -> int:
    """Make the partitions from today on that are missing; returns how many tables were made."""
    cur.execute("SELECT traces_app_make_partitions(%s, %s)", (today, today + timedelta(days=ahead_days)))
    return int(cur.fetchone()[0])


def days(cur: Any) -> list[date]:
    """Return the days that have a partition of their own, oldest first."""
    return [date(int(d[:4]), int(d[4:6]), int(d[6:])) for d in _named(cur, 8)]


def months(cur: Any) -> list[date]:
    """Return the first days of the months that hold what was kept of their days, oldest first."""
    return [date(int(m[:4]), int(m[4:]), 1) for m in _named(cur, 6)]


def _named(cur: Any, digits: int) -> list[str]:
    cur.execute(_NAMED, (f"_([0-9]{{{digits}}})$",))
    return [name for (name,) in cur.fetchall()]


def prune(cur: Any, *, base_before: date, extended_before: date) -> list[date]:
    """Drop what is older than its class of retention allows, whole traces only; returns the days that were touched.

    Traces with feedback belong to the extended class, and keep the calls they are stitched by. What stays of a day
    moves to its month's partition: a read looks into every partition, and should not find one more for each day kept.
    """
    cur.execute(_EXTEND, {"before": base_before})
    cur.execute("DELETE FROM traces_app_spancopy WHERE seen_at < %s", (base_before,))
    cur.execute("DELETE FROM traces_app_link WHERE expires_at < %s", (base_before,))
    cur.execute("DELETE FROM traces_app_quarantine WHERE received_at < %s", (base_before,))
    touched = [day for day in days(cur) if day < base_before]
    for day in touched:
        _settle(cur, day)
    _let_go(cur, extended_before)
    cur.execute(_FORGET, {"before": base_before})
    cur.execute(_FORGET_CALLS, {"before": base_before})
    cur.execute("DELETE FROM routing_app_callrollup WHERE slot < %s", (extended_before,))
    return touched


def shed_unsampled(cur: Any, *, before: Any) -> int:
    """Take the long values from traces that were not sampled, ended well and were quiet since `before`.

    Errors, misroutes, runs with feedback and of campaigns are kept whole. The parts stay, so totals stay exact.
    Returns the number of chunks that went.
    """
    cur.execute(_SHED, {"before": before})
    return int(cur.rowcount)


def _settle(cur: Any, day: date) -> None:
    """Move the day's extended traces to its month's partition, and drop the day. Earlier days of the month went before."""
    # Writers hold a head while they write its parts; with all heads of the day held, none of them is at work on it.
    cur.execute(
        "SELECT trace_id, retention FROM traces_app_tracehead WHERE day = %s ORDER BY trace_id FOR UPDATE",
        (day,),
    )
    kept = [trace_id for trace_id, retention in cur.fetchall() if retention == "extended"]
    bounds = f"FOR VALUES FROM ('{day:%Y-%m}-01') TO ('{day + timedelta(days=1)}')"
    for parent in PARENTS:
        table, month = f"{parent}_{day:%Y%m%d}", f"{parent}_{day:%Y%m}"
        cur.execute(f"ALTER TABLE {parent} DETACH PARTITION {table}")
        if kept:
            cur.execute("SELECT to_regclass(%s) IS NOT NULL", (month,))
            if cur.fetchone()[0]:
                cur.execute(f"ALTER TABLE {parent} DETACH PARTITION {month}")
            else:
                cur.execute(f"CREATE TABLE {month} (LIKE {parent} INCLUDING ALL)")
            cur.execute(f"INSERT INTO {month} SELECT * FROM {table} WHERE trace_id = ANY(%s)", (kept,))
            cur.execute(f"ALTER TABLE {parent} ATTACH PARTITION {month} {bounds}")
        cur.execute(f"DROP TABLE {table}")
    cur.execute(
        "DELETE FROM traces_app_tracehead WHERE day = %s AND NOT trace_id = ANY(%s::uuid[])", (day, kept)
    )


def _let_go(cur: Any, before: date) -> None:
    """Drop the months that ended before the day, and what is older of the month it lies in."""
    cur.execute("SELECT FROM traces_app_tracehead WHERE day < %s ORDER BY trace_id FOR UPDATE", (before,))
    for month in months(cur):
        for parent in PARENTS if month < before else ():
            table = f"{parent}_{month:%Y%m}"
            if month < before.replace(day=1):
                cur.execute(f"DROP TABLE {table}")
            else:
                cur.execute(f"DELETE FROM {table} WHERE day < %s", (before,))
    cur.execute("DELETE FROM traces_app_tracehead WHERE day < %s", (before,))
