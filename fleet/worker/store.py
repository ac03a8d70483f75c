"""Threads and runs of one pool in PostgreSQL: every statement that reads or writes them.

A thread has at most one running run (an index holds it). Who runs or waits for a run keeps its lease fresh; a run
whose lease ran out has lost its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from fleet.worker.encode import dumps
from fleet.worker.ended import KEPT_S
from fleet.worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.rows import DictRow

    from fleet.worker.database import Connection, Database

LEASE_S = 10
_MOST_DELETED = 200

_ACCEPT = """
WITH earlier AS MATERIALIZED (
    SELECT count(*) AS n FROM run WHERE thread_id = %(thread_id)s AND status IN ('pending', 'running')
), found AS MATERIALIZED (  -- locked: of a run and a deletion at once, one comes first
    SELECT FROM thread WHERE thread_id = %(thread_id)s FOR KEY SHARE
), taken AS (
    INSERT INTO thread (thread_id, status, graph_id, metadata)
    SELECT %(thread_id)s, 'busy', %(graph_id)s, %(graph_metadata)s
    WHERE %(create)s OR EXISTS (SELECT FROM found)
    ON CONFLICT (thread_id) DO UPDATE SET status = 'busy', updated_at = now(), graph_id = excluded.graph_id,
        metadata = thread.metadata || excluded.metadata, error = NULL
    WHERE %(strategy)s <> 'reject' OR (SELECT n FROM earlier) = 0
    RETURNING thread_id
)
INSERT INTO run (run_id, thread_id, graph_id, status, background, temporary, attempt, multitask_strategy, metadata,
    kwargs, facts, lease_until)
SELECT %(run_id)s, thread_id, %(graph_id)s,
    CASE WHEN %(background)s OR earlier.n > 0 THEN 'pending' ELSE 'running' END,
    %(background)s, %(temporary)s, CASE WHEN %(background)s OR earlier.n > 0 THEN 0 ELSE 1 END,
    %(strategy)s, %(metadata)s, %(kwargs)s, %(facts)s,
    CASE WHEN NOT %(background)s THEN now() + make_interval(secs => %(lease)s) END
FROM taken, earlier
RETURNING *
"""

_CLAIM = """
UPDATE run SET status = 'running', attempt = attempt + 1, updated_at = now(),
    lease_until = now() + make_interval(secs => %(lease)s)
WHERE run_id = %(run_id)s
    AND (status = 'pending' OR (status = 'running' AND lease_until < now()))
    AND NOT EXISTS (
        SELECT 1 FROM run AS other WHERE other.thread_id = run.thread_id AND other.run_id <> run.run_id
            AND (other.status = 'running' OR (other.status = 'pending' AND other.seq < run.seq))
    )
RETURNING *
"""

_FINISH = """
WITH ended AS (
    UPDATE run SET status = %(status)s, result = %(result)s, updated_at = now(), lease_until = NULL
    WHERE run_id = %(run_id)s AND status IN ('pending', 'running') AND attempt = %(attempt)s
    RETURNING thread_id, run_id
)
UPDATE thread SET updated_at = now(), state_updated_at = now(),
    status = CASE WHEN EXISTS (
            SELECT 1 FROM run WHERE run.thread_id = thread.thread_id AND run.run_id <> %(run_id)s
                AND run.status IN ('pending', 'running')
        ) THEN 'busy' ELSE %(thread_status)s END,
    "values" = coalesce(%(values)s, "values"), interrupts = %(interrupts)s, error = %(error)s
FROM ended WHERE thread.thread_id = ended.thread_id
RETURNING thread.thread_id
"""

_LOST = """
WITH lost AS (
    UPDATE run SET status = 'error', result = %(result)s, updated_at = now(), lease_until = NULL
    WHERE run_id IN (
        SELECT run_id FROM run WHERE status IN ('pending', 'running') AND NOT background AND lease_until < now()
        FOR UPDATE SKIP LOCKED
    )
    RETURNING thread_id, run_id
)
UPDATE thread SET updated_at = now(), error = %(problem)s,
    status = CASE WHEN EXISTS (
            SELECT 1 FROM run WHERE run.thread_id = thread.thread_id AND run.run_id NOT IN (SELECT run_id FROM lost)
                AND run.status IN ('pending', 'running')
        ) THEN 'busy' ELSE 'error' END
WHERE thread_id IN (SELECT thread_id FROM lost)
RETURNING thread_id
"""


_TEMPORARY = """
SELECT thread_id::text FROM run
WHERE temporary AND status NOT IN ('pending', 'running') AND updated_at < now() - make_interval(secs => %(kept)s)
ORDER BY updated_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""


class Store:
    """The statements over threads and runs. Every method may raise `Refused` 503 when the database is away."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ── threads ──

    async def create_thread(self, thread_id: str, metadata: dict[str, Any], *, keep: bool) -> DictRow:
        """Insert a thread; with `keep` an existing one is returned as it is.

        Raises:
            Refused: 409 when it exists.
        """
        row = await self.database.one(
            "INSERT INTO thread (thread_id, metadata) VALUES (%(id)s, %(metadata)s)"
            " ON CONFLICT DO NOTHING RETURNING *",
            {"id": thread_id, "metadata": as_json(metadata)},
        )
        if row is None and not keep:
            raise Refused(409, f"Thread with ID {thread_id} already exists")
        return row or await self.thread(thread_id)

    async def thread(self, thread_id: str) -> DictRow:
        """Return a thread.

        Raises:
            Refused: 404 when there is none.
        """
        row = await self.database.one("SELECT * FROM thread WHERE thread_id = %(id)s", {"id": thread_id})
        if row is None:
            raise Refused(404, f"Thread with ID {thread_id} not found")
        return row

    async def patch_thread(self, thread_id: str, metadata: dict[str, Any]) -> DictRow:
        row = await self.database.one(
            "UPDATE thread SET metadata = metadata || %(metadata)s, updated_at = now() WHERE thread_id = %(id)s"
            " RETURNING *",
            {"id": thread_id, "metadata": as_json(metadata)},
        )
        if row is None:
            raise Refused(404, f"Thread with ID {thread_id} not found")
        return row

    async def set_values(self, thread_id: str, values: Any, status: str, interrupts: dict[str, Any]) -> None:
        """Record what an update of the state left behind."""
        await self.database.one(
            'UPDATE thread SET "values" = %(values)s, status = %(status)s, interrupts = %(interrupts)s,'
            " updated_at = now(), state_updated_at = now() WHERE thread_id = %(id)s RETURNING 1 AS one",
            {"id": thread_id, "values": as_json(values), "status": status, "interrupts": as_json(interrupts)},
        )

    async def delete_thread(self, thread_id: str) -> None:
        async with self.database.connect() as connection, connection.transaction():
            await connection.execute(_DELETE_CHECKPOINTS, {"thread": thread_id})
            gone = await connection.execute("DELETE FROM thread WHERE thread_id = %s", (thread_id,))
            if gone.rowcount == 0:
                raise Refused(404, f"Thread with ID {thread_id} not found")

    async def delete_temporary_threads(self) -> int:
        """Delete the threads of stateless runs that ended a while ago, so that they could be joined until now."""
        async with self.database.connect() as connection, connection.transaction():
            found = await connection.execute(_TEMPORARY, {"kept": KEPT_S, "most": _MOST_DELETED})
            ids = [row["thread_id"] for row in await found.fetchall()]
            for thread_id in ids:
                await connection.execute(_DELETE_CHECKPOINTS, {"thread": thread_id})
            await connection.execute("DELETE FROM thread WHERE thread_id = ANY(%s::uuid[])", (ids,))
        return len(ids)

    async def copy_thread(self, thread_id: str, new_id: str) -> DictRow:
        """Copy a thread with its checkpoints, without its runs."""
        ids = {"old": thread_id, "new": new_id}
        async with self.database.connect() as connection, connection.transaction():
            row = await (
                await connection.execute(
                    'INSERT INTO thread (thread_id, metadata, config, graph_id, "values", interrupts, error, status)'
                    ' SELECT %(new)s::uuid, metadata, config, graph_id, "values", interrupts, error,'
                    " CASE status WHEN 'busy' THEN 'idle' ELSE status END FROM thread WHERE thread_id = %(old)s"
                    " RETURNING *",
                    ids,
                )
            ).fetchone()
            if row is None:
                raise Refused(404, f"Thread with ID {thread_id} not found")
            await _copy_checkpoints(connection, ids)
        return row

    async def search_threads(self, where: dict[str, Any], limit: int, offset: int) -> list[DictRow]:
        return await self.database.all(
            _SEARCH_THREADS,
            {**_thread_filter(where), "limit": limit, "offset": offset},
        )

    async def count_threads(self, where: dict[str, Any]) -> int:
        row = await self.database.one(
            _COUNT_THREADS,
            _thread_filter(where),
        )
        return int(row["n"]) if row else 0

    # ── runs ──

    async def accept(self, connection: Connection, values: dict[str, Any]) -> DictRow:
        """Insert a run: running when its thread is free, else pending. `create` makes a thread that is not there.

        Raises:
            Refused: 404 without the thread, 409 when it is busy and the strategy is `reject`.
        """
        for _ in range(5):
            try:
                row = await (await connection.execute(_ACCEPT, {**values, "lease": LEASE_S})).fetchone()
            except pg.UniqueViolation:
                continue  # another run took the thread between the count and the insert
            if row is not None:
                return row
            found = await connection.execute(
                "SELECT 1 FROM thread WHERE thread_id = %s", (values["thread_id"],)
            )
            if await found.fetchone() is None:
                raise Refused(404, "Thread or assistant not found.")
            raise Refused(
                409,
                "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.",
            )
        raise Refused(409, "Thread is already running a task.")

    async def claim(self, run_id: str) -> DictRow | None:
        """Take a run whose turn it is, pending or lost; None when it is not its turn or it ended."""
        try:
            return await self.database.one(_CLAIM, {"run_id": run_id, "lease": LEASE_S})
        except pg.UniqueViolation:
            return None

    async def finish(
        self,
        run_id: str,
        attempt: int,
        *,
        status: str,
        result: bytes,
        thread_status: str,
        values: Any,
        interrupts: dict[str, Any],
        error: dict[str, str] | None,
    ) -> bool:
        """Record the end of a run and of its thread's turn, once; False when another attempt took the run over."""
        row = await self.database.one(
            _FINISH,
            {
                "run_id": run_id,
                "attempt": attempt,
                "status": status,
                "result": _raw(result),
                "thread_status": thread_status,
                "values": None if values is None else as_json(values),
                "interrupts": as_json(interrupts),
                "error": None if error is None else as_json(error),
            },
        )
        return row is not None

    async def hand_over(self, run_id: str, attempt: int) -> None:
        """Give a background run back, for another worker to take up."""
        await self.database.one(
            "UPDATE run SET status = 'pending', lease_until = NULL WHERE run_id = %(id)s AND status = 'running'"
            " AND attempt = %(attempt)s RETURNING 1 AS one",
            {"id": run_id, "attempt": attempt},
        )

    async def run(self, thread_id: str, run_id: str) -> DictRow:
        """Return a run.

        Raises:
            Refused: 404 when the thread has no such run.
        """
        row = await self.database.one(
            "SELECT * FROM run WHERE run_id = %(run)s AND thread_id = %(thread)s",
            {"run": run_id, "thread": thread_id},
        )
        if row is None:
            raise Refused(404, "Run not found")
        return row

    async def find_run(self, run_id: str) -> DictRow | None:
        return await self.database.one("SELECT * FROM run WHERE run_id = %(id)s", {"id": run_id})

    async def list_runs(self, thread_id: str, status: str | None, limit: int, offset: int) -> list[DictRow]:
        return await self.database.all(
            "SELECT * FROM run WHERE thread_id = %(id)s AND (%(status)s::text IS NULL OR status = %(status)s)"
            " ORDER BY seq DESC LIMIT %(limit)s OFFSET %(offset)s",
            {"id": thread_id, "status": status, "limit": limit, "offset": offset},
        )

    async def unfinished(self, thread_id: str | None = None) -> list[DictRow]:
        """Return the unfinished runs of one thread, or of all."""
        return await self.database.all(
            "SELECT * FROM run WHERE status IN ('pending', 'running')"
            " AND (%(id)s::uuid IS NULL OR thread_id = %(id)s) ORDER BY seq",
            {"id": thread_id},
        )

    async def delete_run(self, thread_id: str, run_id: str) -> None:
        gone = await self.database.one(
            "DELETE FROM run WHERE run_id = %(run)s AND thread_id = %(thread)s"
            " AND status NOT IN ('pending', 'running') RETURNING 1 AS one",
            {"run": run_id, "thread": thread_id},
        )
        if gone is None:
            await self.run(thread_id, run_id)
            raise Refused(409, "the run is not finished: cancel it first")

    async def ask_cancel(self, run_id: str, action: Literal["interrupt", "rollback"]) -> None:
        """Leave a note for the process that holds the run."""
        await self.database.one(
            "UPDATE run SET cancel_action = %(action)s WHERE run_id = %(id)s RETURNING 1 AS one",
            {"id": run_id, "action": action},
        )

    async def forget_run(self, thread_id: str, run_id: str) -> None:
        """Delete a run and the checkpoints it wrote, as a rollback does."""
        async with self.database.connect() as connection, connection.transaction():
            await connection.execute(
                "WITH gone AS (DELETE FROM checkpoints WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s"
                " RETURNING checkpoint_id) DELETE FROM checkpoint_writes WHERE thread_id = %(thread)s"
                " AND checkpoint_id IN (SELECT checkpoint_id FROM gone)",
                {"thread": thread_id, "run": run_id},
            )
            await connection.execute("DELETE FROM run WHERE run_id = %s", (run_id,))

    async def renew(self, run_ids: Sequence[str]) -> list[DictRow]:
        """Renew the leases of this process's runs; return those somebody asked to cancel."""
        if not run_ids:
            return []
        rows = await self.database.all(
            "UPDATE run SET lease_until = now() + make_interval(secs => %(lease)s)"
            " WHERE run_id = ANY(%(ids)s) AND status IN ('pending', 'running') RETURNING run_id, cancel_action",
            {"ids": list(run_ids), "lease": LEASE_S},
        )
        return [row for row in rows if row["cancel_action"]]

    async def end_lost_runs(self) -> int:
        """End the foreground runs whose process is gone; their callers are gone with it."""
        problem = {"error": "WorkerLost", "message": "the worker that ran it is gone", "kind": "backend"}
        rows = await self.database.all(
            _LOST, {"result": as_json({"__error__": problem}), "problem": as_json(problem)}
        )
        return len(rows)


_THREAD_FILTER = (
    "(%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s) AND (%(status)s::text IS NULL OR status = %(status)s)"
    ' AND (%(values)s::jsonb IS NULL OR "values" @> %(values)s) AND (%(ids)s::uuid[] IS NULL OR thread_id = ANY(%(ids)s))'
)

_COUNT_THREADS = f"SELECT count(*) AS n FROM thread WHERE {_THREAD_FILTER}"  # noqa: S608 - constants
_SEARCH_THREADS = (
    f"SELECT * FROM thread WHERE {_THREAD_FILTER}"  # noqa: S608 - constants
    " ORDER BY updated_at DESC, thread_id LIMIT %(limit)s OFFSET %(offset)s"
)
_DELETE_CHECKPOINTS = """
WITH writes AS (DELETE FROM checkpoint_writes WHERE thread_id = %(thread)s::text),
    blobs AS (DELETE FROM checkpoint_blobs WHERE thread_id = %(thread)s::text)
DELETE FROM checkpoints WHERE thread_id = %(thread)s::text
"""


def _thread_filter(where: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": as_json(where["metadata"]) if where.get("metadata") else None,
        "values": as_json(where["values"]) if where.get("values") else None,
        "status": where.get("status"),
        "ids": where.get("ids"),
    }


async def _copy_checkpoints(connection: Connection, ids: dict[str, str]) -> None:
    await connection.execute(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
        " SELECT %(new)s::text, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
        " metadata || jsonb_build_object('thread_id', %(new)s::text) FROM checkpoints WHERE thread_id = %(old)s",
        ids,
    )
    await connection.execute(
        "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)"
        " SELECT %(new)s::text, checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = %(old)s",
        ids,
    )
    await connection.execute(
        "INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)"
        " SELECT %(new)s::text, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path"
        " FROM checkpoint_writes WHERE thread_id = %(old)s",
        ids,
    )


def as_json(value: Any) -> Jsonb:
    """Return any value a graph may emit as a jsonb parameter."""
    return _raw(dumps(value))


def _raw(data: bytes) -> Jsonb:
    """jsonb holds no NUL: it is shown as the replacement character."""
    return Jsonb(data, dumps=lambda raw: raw.replace(b"\\u0000", b"\\ufffd"))
