from __future__ import annotations

import asyncio
import json
import os
from itertools import count
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from platform_site.drill.report import as_text
from platform_site.drill.run import STEPS, Plan, drill
from platform_site.drill.stage import StageError
from routing_app.services import drills

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


DEFAULT = Plan()


class Command(BaseCommand):
    help = (
        "Blast radius: trouble one pool of a dispatcher and workers of its own, measure the others. "
        "Ends with 1 when a limit was broken. Live traffic is not touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", choices=("dispatcher", "all"), default="dispatcher")
        parser.add_argument(
            "--rate", type=float, default=DEFAULT.rate, help="calls a second to each other pool"
        )
        parser.add_argument("--seconds", type=float, default=DEFAULT.seconds, help="length of each fault")
        parser.add_argument("--callers", type=int, default=DEFAULT.callers, help="size of the flood")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--report", type=int, help="number of a stored report to fill")

    def handle(self, *args: Any, role: str, json: bool, report: int | None, **options: Any) -> None:
        plan = Plan(options["rate"], options["seconds"], options["callers"])
        if not (0 < plan.rate <= 200 and 1 <= plan.seconds <= 60 and 1 <= plan.callers <= 500):
            raise CommandError("rate must be up to 200, seconds 1 to 60, callers 1 to 500")
        limits = _limits()
        if report is not None:
            drills.begin_drill(report)
        steps = count(1)

        async def say(step: str) -> None:
            if report is not None:
                await sync_to_async(drills.tell_drill)(report, step=step, number=next(steps), of=STEPS)
            elif not json:
                self.stderr.write(step)

        try:
            found = asyncio.run(
                drill(plan, limits=limits, role=role, server=os.environ.get("DATABASE_URL", ""), say=say)
            )
        except StageError as error:
            if report is not None:
                drills.break_off(report, error=str(error))
            raise CommandError(str(error)) from error
        if report is not None:
            drills.finish_drill(report, result=found.as_json())
        self.stdout.write(_json(found.as_json()) if json else as_text(found))
        if not found.passed:
            raise CommandError("a limit was broken", returncode=1)


def _limits() -> dict[str, dict[str, float]]:
    """What is live; a database without tables, or none, has no say in a drill."""
    try:
        return drills.live_limits()
    except DatabaseError:
        return {}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value)
