"""The queue of background runs on a real PostgreSQL: what ended is not kept by a job that says it goes on."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from fleet.worker import jobs

if TYPE_CHECKING:
    import pytest

WAITING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%procrastinate_finish_job%'
"""


async def test_a_job_whose_end_could_not_be_written_is_queued_again(
    pool_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_WRITTEN_S", 0.0)
    run_id, begun = str(uuid.uuid4()), asyncio.Queue[str]()
    async with (
        await psycopg.AsyncConnection.connect(pool_database, row_factory=dict_row) as holder,
        await psycopg.AsyncConnection.connect(pool_database, row_factory=dict_row, autocommit=True) as other,
    ):
        held: Any = "SELECT id FROM procrastinate_jobs WHERE args ->> 'run_id' = %s FOR UPDATE"

        async def run(one: str) -> None:
            if begun.empty():
                await holder.execute(held, (one,))
            begun.put_nowait(one)

        queue = jobs.JobQueue(pool_database, "CORE", run)
        await queue.defer(other, run_id, str(uuid.uuid4()), 0)
        work = asyncio.create_task(queue.work(1))
        async with asyncio.timeout(30):
            while (await (await other.execute(WAITING)).fetchone()) is None:  # noqa: ASYNC110 - the server knows
                await asyncio.sleep(0.02)
            await holder.rollback()
            while not await queue.retry_lost_jobs():  # noqa: ASYNC110 - as upkeep does
                await asyncio.sleep(0.02)
            while begun.qsize() < 2:  # noqa: ASYNC110 - the worker polls
                await asyncio.sleep(0.02)
        work.cancel()
        await asyncio.wait({work})
    assert [begun.get_nowait(), begun.get_nowait()] == [run_id, run_id]
