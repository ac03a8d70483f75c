from __future__ import annotations

import asyncio
import threading
from typing import Any

from django.core.management.base import BaseCommand
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from campaigns_app.loop import run_claim_loop

CONCURRENCY = 4
#: Shorter than the runner waits: a call of a job in a thread ends only when the platform, which stops as well, cuts it.
GRACE_S = 6.0


class Command(BaseCommand):
    help = "Work off due jobs and due campaign steps until SIGTERM; what runs is finished first."

    def handle(self, *args: Any, **options: Any) -> None:
        connector = app.connector
        assert isinstance(connector, DjangoConnector)  # noqa: S101 - the app is Django's
        with app.replace_connector(connector.get_worker_connector()):
            asyncio.run(work())


async def work() -> None:
    """Run both loops; when either ends, by a signal or an error, the other is ended too."""
    stop = threading.Event()
    async with app.open_async():
        worker = asyncio.create_task(
            app.run_worker_async(
                queues=queues(), concurrency=CONCURRENCY, shutdown_graceful_timeout=GRACE_S, name="jobs"
            )
        )
        claims = asyncio.create_task(asyncio.to_thread(run_claim_loop, stop))
        await asyncio.wait((worker, claims), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        worker.cancel()
        for task in await asyncio.gather(worker, claims, return_exceptions=True):
            if isinstance(task, Exception):
                raise task


def queues() -> list[str]:
    """The queues of every task Django knows. Those of the pools (`pool-…`) are taken by the pools alone."""
    return sorted({task.queue for task in app.tasks.values() if not task.queue.startswith("pool-")})
