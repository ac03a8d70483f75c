"""The connections of one pool to its own schema, and what happens when the database is away."""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from fleet.worker.errors import NoDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from psycopg.abc import PQGen

T = TypeVar("T")
Connection = psycopg.AsyncConnection[DictRow]

_MOST_CONNECTIONS = 10
_WAIT_S = 3.0
_CONNECT_S = 5
_LOOK_S = 0.1


class PatientConnection(Connection):
    """Hangs up on a server that keeps the connection open and answers nothing."""

    #: Longer than any statement of ours takes.
    ANSWER_S = 10.0

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _LOOK_S,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own
    ) -> T:
        """Every statement waits here; OperationalError when it had no answer in time."""
        try:
            return await super().wait(gen, interval, timeout or self.ANSWER_S)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # not the server's word: what it still does is unknown
                self.pgconn.finish()
            raise


def schema_of(pool: str) -> str:
    """Return the name of a pool's schema.

    Raises:
        ValueError: The slug has other characters than letters, digits and `_`.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", pool):
        raise ValueError(f"not a pool slug: {pool!r}")
    return f"pool_{pool.lower()}"


class Connections(AsyncConnectionPool[Connection]):
    """Lends connections to the store and to the graphs' checkpoints alike."""

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Connection]:  # noqa: ASYNC109 - psycopg's own
        """Lend a connection.

        Raises:
            Refused: 503 when the database does not answer, or its schema is not set up.
        """
        try:
            async with super().connection(timeout) as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError):
            raise NoDatabase() from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction) as error:
            raise NoDatabase("The database is not set up: run `python -m fleet.worker.setup`.") from error


class Database:
    """A connection pool whose search path is the schema of one worker pool, jobs in `public` behind it."""

    def __init__(self, url: str, pool: str) -> None:
        options = f"-c search_path={schema_of(pool)},public"
        self.connections = Connections(
            url,
            connection_class=PatientConnection,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "options": options,
                "prepare_threshold": 3,
                "connect_timeout": _CONNECT_S,
            },
            min_size=1,
            max_size=_MOST_CONNECTIONS,
            timeout=_WAIT_S,
            reconnect_timeout=1.0,
            open=False,
            name=f"worker-{pool.lower()}",
        )

    async def open(self) -> None:
        """Start connecting; returns at once, so that a worker serves stateless runs without a database."""
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        await self.connections.open(wait=False)

    async def close(self) -> None:
        await self.connections.close()

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection; raises Refused as `Connections` says."""
        return self.connections.connection()

    async def all(self, query: str, values: dict[str, Any]) -> list[DictRow]:
        """Run one statement, return its rows."""
        async with self.connect() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def one(self, query: str, values: dict[str, Any]) -> DictRow | None:
        """Run one statement, return its first row."""
        async with self.connect() as connection:
            return await (await connection.execute(query, values)).fetchone()
