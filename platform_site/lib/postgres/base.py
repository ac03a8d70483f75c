"""The database backend; Django finds it by this module's name."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper


class DatabaseWrapper(base.DatabaseWrapper):
    """Connections of the pool are looked at instead of asked; statements can stay prepared."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection that still stands; of the pool, as many dead ones are thrown away as it holds.

        The pool's own check asks the server something before each use, a tenth of a short read's time.
        """
        while True:
            connection = super().get_new_connection(conn_params)
            pool: ConnectionPool | None = self.pool  # type: ignore[attr-defined] # which the stubs do not know
            if pool is None or _stands(connection):
                return connection
            pool.putconn(connection)  # closed: the pool makes another

    def prepared_cursor(self) -> CursorWrapper:
        """See `platform_site.lib.postgres.prepared_cursor`."""
        self.ensure_connection()
        cursor = psycopg.Cursor(self.connection)
        cursor.format = psycopg.pq.Format.BINARY
        return self._prepare_cursor(cursor)  # type: ignore[attr-defined,no-any-return] # nor this


def _stands(connection: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection can be used. A server that went away left its end to be read, one that is there sent nothing."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if not poll.poll(0):
        return True
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        return False
    return True
