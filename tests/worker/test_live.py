"""A run in memory, by itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from fleet.worker import live
from fleet.worker.live import LiveRun

if TYPE_CHECKING:
    import pytest


def live_run() -> LiveRun:
    nothing = cast("Any", None)
    return LiveRun(
        run_id="r", thread_id="t", entry=nothing, payload=nothing, facts=nothing, threaded=True, streams=False
    )


async def test_a_run_that_is_cancelled_before_its_first_step_can_still_say_so() -> None:
    run = live_run()

    async def body() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return f"recorded {run.cancel_action}"
        return "ran on"

    run.task = cast("Any", asyncio.create_task(body()))
    run.cancel()
    assert await asyncio.wait_for(cast("Any", run.task), 10) == "recorded interrupt"


async def test_a_cancellation_that_is_swallowed_comes_again_until_it_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "CANCEL_AGAIN_S", 0.01)
    run = live_run()

    async def body() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            run.cancel_heard = True
        await asyncio.sleep(0.1)  # recording it is not cut
        return "recorded"

    run.task = cast("Any", asyncio.create_task(body()))
    run.cancel()
    assert await asyncio.wait_for(cast("Any", run.task), 10) == "recorded"
