"""The workers' connections to a database that is there and answers nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from fleet.worker.database import Database, PatientConnection
from fleet.worker.errors import Refused
from fleet.worker.store import Store, as_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def database(pool_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(PatientConnection, "ANSWER_S", 0.3)
    opened = Database(pool_database, "EMAIL")
    await opened.open()
    yield opened
    await opened.close()


async def ask_frozen(database: Database, *, begin: bool) -> None:
    """A statement on a connection whose backend is stopped, as a whole or after a transaction began."""
    async with database.connect() as connection, contextlib.AsyncExitStack() as stack:
        if begin:
            await stack.enter_async_context(connection.transaction())
            await connection.execute("SELECT 1")
        frozen = connection.info.backend_pid
        os.kill(frozen, signal.SIGSTOP)
        stack.callback(os.kill, frozen, signal.SIGCONT)
        await connection.execute("SELECT 2")


@pytest.mark.parametrize("begin", [False, True])
async def test_a_frozen_backend_is_hung_up_on_and_the_next_call_is_answered(
    database: Database, begin: bool
) -> None:
    with pytest.raises(Refused) as refused:
        await ask_frozen(database, begin=begin)
    assert refused.value.status == 503
    assert await database.all("SELECT 3 AS three", {}) == [{"three": 3}]


async def test_what_the_server_itself_refuses_costs_no_connection(database: Database) -> None:
    async with database.connect() as connection:
        await connection.execute("SET statement_timeout = 50")
        with pytest.raises(psycopg.errors.QueryCanceled):
            await connection.execute("SELECT pg_sleep(1)")
        await connection.execute("RESET statement_timeout")
        assert not connection.closed


async def test_a_run_that_meets_the_deletion_of_its_thread_does_not_make_it_anew(database: Database) -> None:
    store, thread_id = Store(database), str(uuid.uuid4())
    await store.create_thread(thread_id, {}, keep=False)
    values = {
        "run_id": str(uuid.uuid4()), "thread_id": thread_id, "graph_id": "probe_email", "create": False,
        "strategy": "reject", "background": False, "temporary": False,
    } | dict.fromkeys(("graph_metadata", "metadata", "kwargs", "facts"), as_json({}))  # fmt: skip
    async with database.connect() as deleting, database.connect() as running:
        await deleting.execute("BEGIN")
        await deleting.execute("DELETE FROM thread WHERE thread_id = %s", (thread_id,))
        accepted = asyncio.create_task(store.accept(running, values))
        waits = "SELECT 1 FROM pg_locks WHERE pid = %(pid)s AND NOT granted"
        while not await database.all(waits, {"pid": running.info.backend_pid}):
            assert not accepted.done()
        await deleting.execute("COMMIT")
        with pytest.raises(Refused) as refused:
            await accepted
    assert refused.value.status == 404
    with pytest.raises(Refused):
        await store.thread(thread_id)
