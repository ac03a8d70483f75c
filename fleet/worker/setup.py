"""Create what the workers keep in PostgreSQL, a schema a pool: `python -m fleet.worker.setup`. Idempotent."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import sql
from psycopg.rows import dict_row

from contract.registry import GRAPHS
from fleet.worker.database import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg.rows import DictRow

_ASK_AGAIN_S = 0.1
_TABLES = """
CREATE TABLE IF NOT EXISTS thread (
    thread_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    state_updated_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'idle' CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    graph_id text,
    "values" jsonb,
    interrupts jsonb NOT NULL DEFAULT '{}',
    error jsonb
);
CREATE INDEX IF NOT EXISTS thread_metadata ON thread USING gin (metadata jsonb_path_ops);
CREATE INDEX IF NOT EXISTS thread_updated ON thread (updated_at DESC, thread_id);
CREATE TABLE IF NOT EXISTS run (
    run_id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    thread_id uuid NOT NULL REFERENCES thread ON DELETE CASCADE,
    graph_id text NOT NULL,
    status text NOT NULL
        CHECK (status IN ('pending', 'running', 'success', 'error', 'interrupted', 'timeout')),
    background boolean NOT NULL,
    temporary boolean NOT NULL DEFAULT false,
    attempt int NOT NULL DEFAULT 0,
    multitask_strategy text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    kwargs jsonb NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    result jsonb,
    cancel_action text,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS run_of_thread ON run (thread_id, seq DESC);
CREATE INDEX IF NOT EXISTS run_unfinished ON run (thread_id, seq) WHERE status IN ('pending', 'running');
CREATE INDEX IF NOT EXISTS run_leases ON run (lease_until) WHERE status IN ('pending', 'running');
CREATE INDEX IF NOT EXISTS run_temporary ON run (updated_at) WHERE temporary;
CREATE UNIQUE INDEX IF NOT EXISTS one_running_run_a_thread ON run (thread_id) WHERE status = 'running';
"""


async def set_up(url: str, pools: Iterable[str]) -> None:
    """Create schema and tables of every pool in `pools` at the libpq URL `url`.

    Raises:
        psycopg.Error: The database does not answer or refuses.
    """
    for pool in pools:
        schema = schema_of(pool)
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
        async with connection:
            name = sql.Identifier(schema)
            await _lock(connection, schema)
            await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            await connection.execute(sql.SQL("SET search_path TO {}").format(name))
            await connection.execute(_TABLES)
            await AsyncPostgresSaver(connection).setup()


async def _lock(connection: psycopg.AsyncConnection[DictRow], name: str) -> None:
    """Take the advisory lock `name` for as long as the connection lives.

    Asking again and again, since a statement that waits keeps a snapshot, and the indexes that LangGraph builds
    concurrently wait for every snapshot: the two would be a deadlock.
    """
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS taken", (name,))
        row = await cursor.fetchone()
        if row and row["taken"]:
            return
        await asyncio.sleep(_ASK_AGAIN_S)


def main() -> int:
    """Set up every pool of the registry at `DATABASE_URL`."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        sys.stderr.write("DATABASE_URL is not set\n")
        return 2
    asyncio.run(set_up(url, sorted({spec.pool for spec in GRAPHS})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
