"""A run in memory, by itself."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fleet.worker.live import LiveRun


async def test_a_run_that_is_cancelled_before_its_first_step_can_still_say_so() -> None:
    nothing = cast("Any", None)
    run = LiveRun(
        run_id="r", thread_id="t", entry=nothing, payload=nothing, facts=nothing, threaded=True, streams=False
    )

    async def body() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return f"recorded {run.cancel_action}"
        return "ran on"

    run.task = cast("Any", asyncio.create_task(body()))
    run.cancel()
    assert await asyncio.wait_for(cast("Any", run.task), 10) == "recorded interrupt"
