"""An end to waiting for a database that keeps its connections open and answers nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def hang_up_after(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """What still waits on `connection` after `seconds` fails with OperationalError, as if the server had hung up.

    To cancel the task would not do: psycopg then asks the server to cancel, and waits for its answer.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as other_end,
    ):
        other_end.shutdown(socket.SHUT_RDWR)
