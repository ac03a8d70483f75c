"""One drill: each fault in the flooded pool between two calm runs, with the same steady calls to the others."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable  # noqa: TC003 - a dataclass has them as fields
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_site.drill.load import PATIENCE_S, Caller, crowd, steady
from platform_site.drill.report import Fault, Figures, Report, judged, worse
from platform_site.drill.stage import Stage, StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

VICTIM_POOL = "DISCOVERY"
OTHERS = ("EMAIL", "CLASSIFY")
CALLERS = 200
#: The flood is on before the fault strikes, so that calls are in flight when it does.
RAMP_S = 1.0
#: Breakers ask again after ten seconds at the latest.
RECOVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each: steady calls a second to each other pool, and seconds a fault lasts."""

    rate: float = 25.0
    seconds: float = 8.0
    callers: int = CALLERS


@dataclass(frozen=True, slots=True)
class Trouble:
    """`before` the flood, and `amid` it."""

    name: str
    how: str
    before: Callable[[Stage], Awaitable[None]]
    amid: Callable[[Stage], None] = lambda _: None


async def _well(stage: Stage) -> None:
    """A fresh worker, called until the breaker of the fault before is closed."""
    await stage.restore(VICTIM_POOL)
    probe = Caller(stage.url, stage.key, f"probe_{VICTIM_POOL.lower()}")
    try:
        async with asyncio.timeout(RECOVERY_S):
            while await probe.call(PATIENCE_S):  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StageError(f"{VICTIM_POOL} did not come back in {RECOVERY_S:g} s") from None
    finally:
        probe.close()


async def _silent(stage: Stage) -> None:
    await _well(stage)
    await stage.replace(VICTIM_POOL, "silent")


async def _failing(stage: Stage) -> None:
    await _well(stage)
    await stage.replace(VICTIM_POOL, "failing")


TROUBLES = (
    Trouble(
        "killed",
        "its worker was killed with -9 amid the flood",
        _well,
        lambda stage: stage.signal(VICTIM_POOL, signal.SIGKILL),
    ),
    Trouble("silent", "a stand-in accepted every call and answered none", _silent),
    Trouble("failing", "a stand-in answered 500 to every call", _failing),
    Trouble(
        "blocked",
        "its worker was stopped with SIGSTOP amid the flood, which is what a blocked event loop looks like from outside",
        _well,
        lambda stage: stage.signal(VICTIM_POOL, signal.SIGSTOP),
    ),
)


async def _unheard(_: str) -> None:
    """Nobody watches."""


#: What a drill says it is at, one after the other.
STEPS = 3 + len(TROUBLES)


async def drill(
    plan: Plan,
    *,
    limits: Mapping[str, Mapping[str, float]],
    role: str = "dispatcher",
    server: str = "",
    say: Callable[[str], Awaitable[None]] = _unheard,
) -> Report:
    """Run it all; about `5 × seconds` and the starts. Raises StageError when its own processes do not start."""
    await say("starting a dispatcher and three workers")
    async with Stage(limits, role=role, server=server) as stage:
        callers = {pool: Caller(stage.url, stage.key, f"probe_{pool.lower()}") for pool in OTHERS}
        try:
            await _others(callers, Plan(plan.rate, 2.0))  # the first calls pay for what is made once
            await say("calm run")
            calm = await _others(callers, plan)
            struck = []
            for trouble in TROUBLES:
                await say(f"{VICTIM_POOL} {trouble.name}")
                struck.append(await _strike(stage, trouble, callers, plan))
            await _well(stage)
            await say("calm run again")
            after = await _others(callers, plan)
        finally:
            for caller in callers.values():
                caller.close()
    calm = {pool: worse(calm[pool], after[pool]) for pool in OTHERS}
    return Report(
        pool=VICTIM_POOL,
        role=role,
        callers=plan.callers,
        rate=plan.rate,
        seconds=plan.seconds,
        load_average=round(os.getloadavg()[0], 2),
        calm=calm,
        faults=tuple(judged(fault, calm) for fault in struck),
    )


async def _strike(stage: Stage, trouble: Trouble, callers: Mapping[str, Caller], plan: Plan) -> Fault:
    await trouble.before(stage)
    flood = Caller(stage.url, stage.key, f"probe_{VICTIM_POOL.lower()}", sleep=0.5)
    async with crowd(flood, size=plan.callers) as heard:
        await asyncio.sleep(RAMP_S)
        trouble.amid(stage)
        seen = await _others(callers, plan)
    return Fault(trouble.name, trouble.how, seen, dict(heard))


async def _others(callers: Mapping[str, Caller], plan: Plan) -> dict[str, Figures]:
    found = await asyncio.gather(
        *(steady(caller, rate=plan.rate, seconds=plan.seconds) for caller in callers.values())
    )
    return dict(zip(callers, found, strict=True))
