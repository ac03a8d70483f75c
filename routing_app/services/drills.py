"""Writes of blast-radius drills: ask for one, and follow it to its end. The drill itself is a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from registry_app.audit import acting
from routing_app.models import DrillReport
from routing_app.services.publish import live_revision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_app.audit import Actor

TASK, QUEUE = "routing.drill", "drill"
UNFINISHED = ("queued", "running")


class DrillUnderWay(Exception):
    """Another drill has not ended: two at once would measure each other."""

    def __init__(self) -> None:
        super().__init__("A drill is under way. Its report appears here when it has ended.")


def ask_for_drill(*, actor: Actor) -> DrillReport:
    """Write the report to be filled, and its job, in one transaction; raises DrillUnderWay."""
    try:
        with acting(actor, "blast-radius drill"):
            report = DrillReport.objects.create(requested_by=actor.name)
            app.configure_task(TASK, queue=QUEUE, queueing_lock=TASK).defer(report_id=report.pk)
    except IntegrityError:
        raise DrillUnderWay from None
    return report


def begin_drill(report_id: int) -> None:
    DrillReport.objects.filter(pk=report_id).update(state="running", started_at=timezone.now(), error="")


def tell_drill(report_id: int, *, step: str, number: int, of: int) -> None:
    """What a drill is at, for those who watch; nothing when it already ended. The report takes its place."""
    doing = {"step": step, "number": number, "of": of}
    DrillReport.objects.filter(pk=report_id, state="running").update(result={"doing": doing})


def finish_drill(report_id: int, *, result: Mapping[str, Any]) -> None:
    """Store what a drill found. Its verdict is in the result."""
    with transaction.atomic():
        DrillReport.objects.filter(pk=report_id).update(
            state="passed" if result["passed"] else "failed", ended_at=timezone.now(), result=dict(result)
        )


def break_off(report_id: int, *, error: str) -> None:
    """Note that a drill could not be run to its end; nothing when it already ended."""
    DrillReport.objects.filter(pk=report_id, state__in=UNFINISHED).update(
        state="broken", ended_at=timezone.now(), error=error[:2000]
    )


def live_limits() -> dict[str, dict[str, float]]:
    """Limits of each pool as they are live; empty before the first revision."""
    live = live_revision()
    if live is None:
        return {}
    return {route["prefix"]: route["limits"] for route in live.document["routes"]}
