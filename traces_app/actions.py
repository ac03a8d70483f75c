"""What the list of actions is read from: stored traces, and failed calls that left no trace."""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants; values travel as parameters
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from platform_site.lib.postgres import prepared_cursor
from traces_app import filter_sql
from traces_app.filter_sql import EVERYTHING, FAILED, FAILED_CALL, Clause
from traces_app.filters import FilterError
from traces_app.models import StoredFinding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.backends.utils import CursorWrapper

    from traces_app.filters import Term

#: A filter that nothing is indexed for reads every action; it gets this long.
READ_MS = 4_000
#: Of a filter that nothing is indexed for, this many actions are looked at for one page.
LOOKED_AT = 20_000

_UUID = "CASE WHEN {0} ~ '^[0-9a-f]{{8}}-?([0-9a-f]{{4}}-?){{3}}[0-9a-f]{{12}}$' THEN {0}::uuid END"
_LS_TRACE, _RUN, _W3C = (_UUID.format(f"d.{one}") for one in ("ls_trace_id", "run_id", "w3c_trace_id"))

# A trace that a dispatch record ties to a stored caller is a part of that caller's action, not a row of its own.
PART_OF_ANOTHER = f"""
EXISTS (SELECT 1 FROM routing_app_dispatchrecord d JOIN traces_app_tracehead c ON c.trace_id = {_LS_TRACE}
    WHERE d.run_id = h.root_run_id::text AND c.trace_id <> h.trace_id)
"""
#: What a dispatch record says of the traces it led to, as facts of their heads.
CALL_FACTS = f"""ARRAY['assistant=' || d.assistant_id, 'pool=' || d.pool, 'caller=' || d.key_name,
    'caller=' || d.caller, CASE WHEN {FAILED_CALL} THEN '{FAILED}' END,
    CASE WHEN {FAILED_CALL} THEN 'error=' || left(d.error, 200) END]"""
# A call that should have begun a run and failed before any span of it was sent, in the columns of a head.
_CALLS = f"""(
    SELECT d.id AS trace_id, NULL::uuid AS root_run_id, d.received_at AS seen_at, d.method || ' ' || d.path AS name,
        2::smallint AS status, d.received_at AS started_at, d.ended_at, d.assistant_id, d.pool,
        nullif(d.routing_version, 0) AS routing_version, d.ls_project AS project, 'dispatch' AS source, d.thread_id,
        0 AS runs, 0 AS open_runs, 1 AS errors, 0 AS llm_runs, 0::bigint AS total_tokens, 0::numeric AS cost,
        '{{}}'::text[] AS tags, d.ended_at AS updated_at, {CALL_FACTS} || ARRAY['project=' || d.ls_project, 'name=' || d.method || ' ' || d.path] AS facts
    FROM routing_app_dispatchrecord d
    WHERE {FAILED_CALL} AND d.method = 'POST' AND d.path ~ '/runs(/wait|/stream|/batch)?$'
    AND NOT EXISTS (SELECT 1 FROM traces_app_tracehead c WHERE c.trace_id IN ({_LS_TRACE}, {_RUN}, {_W3C}))
)"""
_BRANCH = "(SELECT {columns} FROM {source} h WHERE {conditions} {order} LIMIT {limit})"


def condition(terms: Sequence[Term]) -> Clause:
    """The terms as one condition.

    Findings are asked for by their ids: of a code the planner cannot tell whether its findings are rare or everywhere.
    """
    if not filter_sql.asks_for_findings(terms):
        return filter_sql.where(terms)
    found: dict[str, list[int]] = {}
    for code, pk in StoredFinding.objects.filter(resolved_at=None).values_list("code", "pk"):
        found.setdefault(code, []).append(pk)
    return filter_sql.where(terms, found)


def newest(
    columns: str,
    where: Clause,
    *,
    limit: int,
    bounds: Clause = ("", []),
    oldest: bool = False,
    parts: bool = False,
) -> Clause:
    """A query for columns (`seen_at` and `trace_id` first) of the newest actions, or the oldest, of a condition.

    `bounds` follow the condition; the limit stands in the text, for it shapes the plan of a prepared query. With `parts`, what belongs to another action and is a trace of its own counts too.
    """
    direction = "ASC" if oldest else "DESC"
    order = f"ORDER BY h.seen_at {direction}, h.trace_id {direction}"
    conditions = where[0] + bounds[0]
    of_its_own = conditions if parts else f"{conditions} AND NOT {PART_OF_ANOTHER}"
    common = {"columns": columns, "order": order, "limit": limit}
    heads = _BRANCH.format(source="traces_app_tracehead", conditions=of_its_own, **common)
    calls = _BRANCH.format(source=_CALLS, conditions=conditions, **common)
    given = [*where[1], *bounds[1]]
    return f"{heads} UNION ALL {calls} {order.replace('h.', '')} LIMIT {limit}", [*given, *given]


def edge(cursor: CursorWrapper, bounds: Clause, *, oldest: bool = False) -> tuple[datetime, UUID] | None:
    """The place of the last action that may be looked at between these bounds; None when all of them may."""
    direction = "ASC" if oldest else "DESC"
    order = f"ORDER BY h.seen_at {direction}, h.trace_id {direction}"
    query = f"SELECT h.seen_at, h.trace_id FROM traces_app_tracehead h WHERE TRUE{bounds[0]} {order} OFFSET %s LIMIT 1"
    cursor.execute(query, [*bounds[1], LOOKED_AT])
    last: tuple[datetime, UUID] | None = cursor.fetchone()
    return last


def up_to(bounds: Clause, last: tuple[datetime, UUID] | None, *, oldest: bool = False) -> Clause:
    """The bounds, drawn in to where `edge` says."""
    if last is None:
        return bounds
    return f"{bounds[0]} AND (h.seen_at, h.trace_id) {'<=' if oldest else '>='} (%s, %s)", [*bounds[1], *last]


@contextmanager
def reading(where: Clause) -> Iterator[CursorWrapper]:
    """A cursor for reads under a condition, which end in time. Raises FilterError when they do not."""
    if where == EVERYTHING:  # follows an index from its end, whatever is stored
        with prepared_cursor() as cursor:
            yield cursor
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {READ_MS}")
            yield cursor
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        told = f"The list was not read within {READ_MS // 1000} s; add since:1h, or an exact field such as assistant:"
        raise FilterError(0, told) from None
