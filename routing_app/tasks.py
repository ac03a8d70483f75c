"""Jobs of routing: pools are asked what they have loaded; a drill runs as a process of its own, beside other jobs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from asgiref.sync import sync_to_async
from django.conf import settings
from procrastinate.contrib.django import app

from routing_app.probes import probe_pools
from routing_app.services import drills

#: A drill takes about a minute.
LONGEST_S = 300.0


@app.periodic(cron="* * * * *")
@app.task(name="routing.probe", queue="default", queueing_lock="routing.probe", pass_context=False)
def ask_pools(timestamp: int) -> None:
    """So that Fleet and the drift checks know the pools before anyone asks."""
    probe_pools()


@app.task(name=drills.TASK, queue=drills.QUEUE)
async def run_drill(report_id: int) -> None:
    """Run the drill that fills the report; whatever happens, the report ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "manage.py",
        "drill",
        "--report",
        str(report_id),
        cwd=settings.BASE_DIR,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    error = "it was ended before its end: the job process stopped, or five minutes were over"
    try:
        async with asyncio.timeout(LONGEST_S):
            code = await process.wait()
        error = f"its process ended with {code}"
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(sync_to_async(drills.break_off)(report_id, error=error))
