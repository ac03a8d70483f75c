"""Background runs as procrastinate jobs on the pool's own queue, and the upkeep that makes kills harmless."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate import exceptions as pe

from fleet.worker.database import PatientConnection
from fleet.worker.errors import NoDatabase, Refused
from fleet.worker.threaded import Handover

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleet.worker.database import Connection
    from fleet.worker.service import Service

log = logging.getLogger("fleet.worker")
_TASK = "fleet.run"
_HEARTBEAT_S = 2.0
_STALLED_S = 10.0
#: By then the end of a job is in the table, or will not come there.
_WRITTEN_S = 10.0
_UPKEEP_S = 2.0


class JobConnection(PatientConnection):
    """procrastinate listens on one of these, and asks every 30 s whether it still hears."""

    ANSWER_S = 40.0


class JobQueue:
    """The queue `pool-<slug>`: defers runs in their transaction, and works through them."""

    def __init__(self, url: str, pool: str, run: Callable[[str], Awaitable[None]]) -> None:
        self.name = f"pool-{pool.lower()}"
        # The pool is shared by the fetch loop, heartbeats and job results.
        connector = PsycopgConnector(
            conninfo=url, connection_class=JobConnection, min_size=1, max_size=4, timeout=5.0
        )
        self._app = App(connector=connector)
        retry = RetryStrategy(wait=1, retry_exceptions={Handover, NoDatabase, psycopg.Error})

        #: Jobs that ended here of late, by id and attempt, and when.
        self._ended: dict[tuple[int | None, int], float] = {}

        @self._app.task(name=_TASK, queue=self.name, retry=retry, pass_context=True)
        async def run_job(context: JobContext, run_id: str) -> None:
            try:
                await run(run_id)
            finally:
                self._ended[context.job.id, context.job.attempts] = time.monotonic()

        self._task = run_job

    async def defer(self, connection: Connection, run_id: str, thread_id: str, delay: float) -> None:
        """Queue a run inside the transaction of `connection`; runs of one thread keep their order."""
        at = datetime.now(UTC) + timedelta(seconds=delay) if delay else None
        deferrer = self._task.configure(lock=f"thread:{thread_id}", schedule_at=at)
        job = deferrer.job.evolve(task_kwargs={"run_id": run_id})
        await self._app.job_manager.batch_defer_jobs_async([job], connection=connection)

    async def work(self, concurrency: int) -> None:
        """Take jobs until cancelled; starts again whenever the database was away."""
        while True:
            try:
                async with self._app.open_async():
                    await self._app.run_worker_async(
                        queues=[self.name],
                        name=self.name,
                        concurrency=concurrency,
                        install_signal_handlers=False,
                        fetch_job_polling_interval=1.0,
                        update_heartbeat_interval=_HEARTBEAT_S,
                        stalled_worker_timeout=_STALLED_S,
                        shutdown_graceful_timeout=0.5,
                        delete_jobs="successful",
                    )
            except (pe.ProcrastinateException, psycopg.Error, OSError) as error:
                log.warning("background runs wait for the database: %s", _first_line(error))
            await asyncio.sleep(1.0)

    async def retry_lost_jobs(self) -> int:
        """Queue again the jobs of dead workers, and those whose end here could not be written."""
        manager = self._app.job_manager
        stalled = await manager.get_stalled_jobs(queue=self.name, seconds_since_heartbeat=_STALLED_S)
        lost = {job.id: job for job in stalled}
        written = time.monotonic() - _WRITTEN_S
        ended = [job for job, at in self._ended.items() if at < written]
        if ended:
            doing = await manager.list_jobs_async(queue=self.name, status="doing")
            lost |= {job.id: job for job in doing if (job.id, job.attempts) in ended}
        for job in lost.values():
            await manager.retry_job(job)
        for key in ended:
            del self._ended[key]
        return len(lost)


async def keep_up(service: Service) -> None:
    """Renew leases, pass on cancellations, end or requeue what dead processes left; until cancelled."""
    runs = service.threaded
    while True:
        await asyncio.sleep(_UPKEEP_S)
        try:
            mine = [run.run_id for run in service.live if run.threaded]
            for row in await runs.store.renew(mine):
                live = service.live.find(str(row["run_id"]))
                if live is not None:
                    live.cancel(row["cancel_action"])
            if lost := await runs.store.end_lost_runs():
                log.warning("ended %d runs whose process is gone", lost)
            await runs.store.delete_temporary_threads()
            if lost := await service.jobs_queue.retry_lost_jobs():
                log.warning("queued %d lost background runs again", lost)
        except (Refused, psycopg.Error, pe.ProcrastinateException) as error:
            log.debug("upkeep waits for the database: %s", _first_line(error))


def _first_line(error: BaseException) -> str:
    text: Any = str(error) or type(error).__name__
    return str(text).splitlines()[0]
