"""Housekeeping of the job queue itself."""

from __future__ import annotations

import logging

from procrastinate.contrib.django import app

logger = logging.getLogger(__name__)

STALLED_AFTER_S = 10.0


@app.periodic(cron="* * * * * */5")
@app.task(queue="default", queueing_lock="retry_stalled_jobs", pass_context=False)
async def retry_stalled_jobs(timestamp: int) -> None:
    """Bring back jobs whose worker died: procrastinate forgets the worker, but leaves its jobs `doing` for ever."""
    manager = app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
        logger.warning("retrying job %s (%s) of a dead worker", job.id, job.task_name)
        await manager.retry_job(job)


@app.periodic(cron="17 3 * * *")
@app.task(queue="default", queueing_lock="delete_old_jobs", pass_context=False)
async def delete_old_jobs(timestamp: int) -> None:
    """Forget failed and cancelled jobs after thirty days; successful ones go at once."""
    await app.job_manager.delete_old_jobs(nb_hours=30 * 24, include_failed=True, include_cancelled=True)
