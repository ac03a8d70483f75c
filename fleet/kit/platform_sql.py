"""Questions to the platform's own tables, through views that hold no secret, no mail and no payload.

A query is checked twice before it runs: by its words (one SELECT, known views, known functions, nothing quoted or
commented) and by PostgreSQL's own plan (no relation but those behind the views). It then runs in a read-only
transaction with a deadline, and is rolled back. Its answer is weighed before it is fetched: few rows can be wide.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import Any

from fleet.kit.http import SourceError

MOST_ROWS, MOST_BYTES, DEADLINE_MS, CONNECT_S = 200, 1_000_000, 3_000, 2
#: For all of it; a server that is frozen answers no deadline of its own.
PATIENCE_S = 12.0

#: View → (table, columns).
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dispatches": (
        "routing_app_dispatchrecord",
        ("received_at", "method", "path", "assistant_id", "pool", "routing_version", "status", "error_kind", "graph_failed", "run_id", "queued_ms", "ttfb_ms", "total_ms"),
    ),
    "traces": (
        "traces_app_tracehead",
        ("trace_id", "name", "assistant_id", "pool", "project", "source", "status", "started_at", "ended_at", "runs", "errors", "llm_runs", "prompt_tokens", "completion_tokens", "total_tokens", "cost"),
    ),
    "graphs": ("registry_app_graphrecord", ("assistant_id", "home_pool", "resumable", "enabled", "disabled_reason")),
    "feedback": ("feedback_app_feedback", ("run_id", "key", "score", "source", "assistant_id", "pool", "model", "created_at")),
    "campaigns": ("campaigns_app_campaign", ("id", "name", "slug", "status", "daily_limit", "created_at")),
    "enrollments": ("campaigns_app_enrollment", ("id", "campaign_id", "status", "position", "due_at", "attempts", "ended_at", "created_at")),
    "touches": ("campaigns_app_touch", ("id", "enrollment_id", "step_id", "variant", "status", "pool", "composed_at", "sent_at")),
}  # fmt: skip
FUNCTIONS = frozenset(
    [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "round",
        "coalesce",
        "nullif",
        "date_trunc",
        "extract",
        "now",
        "lower",
        "upper",
        "length",
        "abs",
        "floor",
        "ceil",
        "greatest",
        "least",
        "percentile_cont",
        "percentile_disc",
        "to_char",
        "row_number",
        "rank",
        "dense_rank",
        "lag",
        "lead",
        "bool_or",
        "bool_and",
        "stddev",
        "generate_series",
        "date",
        "age",
    ]
)
#: Words that may stand before a parenthesis without being a function.
_WORDS = frozenset(
    [
        "select",
        "from",
        "where",
        "and",
        "or",
        "not",
        "in",
        "as",
        "on",
        "over",
        "filter",
        "group",
        "by",
        "having",
        "order",
        "limit",
        "union",
        "all",
        "except",
        "intersect",
        "with",
        "case",
        "when",
        "then",
        "else",
        "end",
        "exists",
        "any",
        "between",
        "like",
        "ilike",
        "is",
        "null",
        "using",
        "join",
        "values",
        "interval",
        "within",
        "partition",
        "distinct",
        "left",
        "right",
        "inner",
        "outer",
        "full",
        "cross",
        "lateral",
        "cast",
        "numeric",
        "decimal",
        "varchar",
    ]
)
_TOKEN = re.compile(
    r"\s+|'(?:[^']|'')*'|[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?|::|<=|>=|<>|!=|[-+*/%=<>(),.\[\]]"
)
_STRING = re.compile(r"'(?:[^']|'')*'")
_HIDDEN = re.compile(r"--|/\*|[\w&$]'")
_BANNED = frozenset(
    [
        "insert",
        "update",
        "delete",
        "merge",
        "drop",
        "create",
        "alter",
        "truncate",
        "grant",
        "revoke",
        "copy",
        "call",
        "do",
        "execute",
        "prepare",
        "listen",
        "notify",
        "set",
        "reset",
        "show",
        "vacuum",
        "analyze",
        "lock",
        "into",
        "for",
        "begin",
        "commit",
        "rollback",
        "savepoint",
        "current_user",
        "current_role",
        "current_catalog",
        "system_user",
        "user",
        "session_user",
        "table",
    ]
)


def check(sql: str) -> str:
    """What is wrong with the query's words; "" when nothing is."""
    tokens, at = [], 0
    text = sql.strip().removesuffix(";").strip()
    if "\0" in text:
        return "a NUL character is not allowed"
    if found := _HIDDEN.search(_STRING.sub("''", text)):
        return f"{found[0]!r} is not allowed: no comments, no prefixed texts"
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return f"{text[at]!r} is not allowed here: one plain SELECT, no quotes around names, no comments"
        at = found.end()
        if not found[0].isspace():
            tokens.append(found[0] if found[0].startswith("'") else found[0].lower())
    if not tokens or tokens[0] not in ("select", "with"):
        return "the query has to be one SELECT"
    if problem := _unbalanced(tokens):
        return problem
    for word, after in zip(tokens, [*tokens[1:], ""], strict=True):
        if (
            word in _BANNED
            or "_app_" in word
            or word.startswith(("pg_", "information_schema", "procrastinate"))
        ):
            return f"{word} is not allowed"
        if after == "(" and word.isidentifier() and word not in FUNCTIONS | _WORDS:
            return f"the function {word} is not allowed"
    return ""


def _unbalanced(tokens: list[str]) -> str:
    """A query that closes more than it opened would end what it is wrapped in."""
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")  # noqa: S105 - a mark
        if depth < 0:
            break
    return "its parentheses do not match" if depth else ""


def wrapped(sql: str, select: str = "*") -> str:
    """The query over the views, cut off after a number of rows."""
    views = ", ".join(
        f"{view} AS (SELECT {', '.join(columns)} FROM public.{table})"  # noqa: S608 - our own names
        for view, (table, columns) in VIEWS.items()
    )
    inner = sql.strip().removesuffix(";")
    rows = f"SELECT * FROM (\n{inner}\n) AS asked LIMIT {MOST_ROWS + 1}"  # noqa: S608 - checked
    return f"WITH {views} SELECT {select} FROM ({rows}) AS answer"  # noqa: S608 - checked


async def run(sql: str) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows. Raises ValueError with what PostgreSQL says of the query, SourceError when it cannot be asked."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise SourceError("the platform's database", "needs DATABASE_URL, which is not set")
    if problem := check(sql):
        raise ValueError(problem)
    work = asyncio.create_task(_ask(url, sql))
    done, _ = await asyncio.wait({work}, timeout=PATIENCE_S)
    if not done:
        work.cancel()  # and not awaited: it ends when the server answers again
        raise SourceError(
            "the platform's database", f"gave no answer within {PATIENCE_S:g} s", timed_out=True
        )
    return await work


async def _ask(url: str, sql: str) -> tuple[list[str], list[list[Any]]]:
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_S, autocommit=True)
    except psycopg.OperationalError as failure:
        raise SourceError(
            "the platform's database", f"cannot be reached ({type(failure).__name__})"
        ) from None
    try:
        return await _in_read_only_transaction(connection, sql)
    except psycopg.errors.QueryCanceled:
        raise ValueError(f"it took longer than {DEADLINE_MS / 1000:g} s") from None
    except psycopg.Error as failure:
        raise ValueError((failure.diag.message_primary or type(failure).__name__)[:300]) from None
    finally:
        await connection.close()


async def _in_read_only_transaction(connection: Any, sql: str) -> tuple[list[str], list[list[Any]]]:
    cursor = connection.cursor()
    await cursor.execute("BEGIN READ ONLY")
    try:
        await cursor.execute(f"SET LOCAL statement_timeout = {DEADLINE_MS}")
        await cursor.execute(f"EXPLAIN (FORMAT JSON) {wrapped(sql)}")
        plan = (await cursor.fetchone())[0]
        allowed = {table for table, _columns in VIEWS.values()}
        if foreign := _relations(plan if isinstance(plan, list) else json.loads(plan)) - allowed:
            raise ValueError(f"it reads {', '.join(sorted(foreign))}, which is not one of the views")
        await cursor.execute(wrapped(sql, "coalesce(sum(octet_length(answer::text)), 0)"))
        if (size := (await cursor.fetchone())[0]) > MOST_BYTES:
            raise ValueError(f"its answer has {size} bytes, more than {MOST_BYTES}")
        await cursor.execute(wrapped(sql))
        columns = [column.name for column in cursor.description or ()]
        return columns, [list(row) for row in await cursor.fetchmany(MOST_ROWS + 1)]
    finally:
        await cursor.execute("ROLLBACK")


def _relations(plan: Any) -> set[str]:
    """Every relation a plan reads; that of another schema with its schema's name would still differ by name."""
    if isinstance(plan, list):
        return {name for one in plan for name in _relations(one)}
    if not isinstance(plan, dict):
        return set()
    own = {plan["Relation Name"]} if "Relation Name" in plan else set()
    return own.union(*(_relations(value) for value in plan.values() if isinstance(value, dict | list)))
