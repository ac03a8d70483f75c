"""/api/fleet: pools, replicas and breakers as they stand; blast-radius drills."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime  # noqa: TC003 - ninja reads annotations when the module is loaded
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ninja import Field, Path, Router, Schema, Status

from registry_app.auth import Requires
from routing_app.fleet import fleet
from routing_app.models import DrillReport
from routing_app.selectors import serving
from routing_app.services import breakers
from routing_app.services.drills import DrillUnderWay, ask_for_drill

if TYPE_CHECKING:
    from django.http import HttpRequest

router = Router(tags=["fleet"])

READ = Requires("read", "routing_app.view_pool")
DRILL = Requires("routing:write", "routing_app.add_drillreport")
HOLD = Requires("routing:write", "routing_app.add_breakerhold")


class HoldIn(Schema):
    """`state` none takes the hold off; then the rest is not looked at."""

    pool: str
    url: str
    state: Literal["open", "closed", "none"]
    minutes: Annotated[int, Field(ge=1, le=breakers.LONGEST_MINUTES)] = 60
    reason: str = ""


class HoldOut(Schema):
    pool: str
    url: str
    state: str
    reason: str
    held_by: str
    until: datetime


class DrillOut(Schema):
    id: int
    state: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str
    result: dict[str, Any]


@router.get("", auth=READ, summary="Pools, replicas, breakers and queues; the last drill")
def get_fleet(request: HttpRequest) -> dict[str, Any]:
    found = fleet()
    return {
        "dispatcher": {
            "answers": not found.silence,
            "detail": found.silence,
            "routing_version": found.version,
            "database": found.database,
            "records": {"waiting": found.records_waiting, "spooled": found.records_spooled},
        },
        "published_version": found.published,
        "serving": [asdict(one) for one in serving()],
        "pools": [{**asdict(pool), "state": pool.state} for pool in found.pools],
        "drill": _drill(found.drill) if found.drill else None,
    }


@router.put(
    "/breakers",
    auth=HOLD,
    response={200: HoldOut, 204: None},
    summary="Hold a replica's breaker open or closed for a while, or let it go",
)
def put_breaker(request: HttpRequest, given: HoldIn) -> Any:
    actor = request.auth  # type: ignore[attr-defined]
    if given.state == "none":
        breakers.release_breaker(actor=actor, pool=given.pool, url=given.url)
        return Status(204, None)
    return breakers.hold_breaker(actor=actor, **given.dict())


@router.post(
    "/drills", auth=DRILL, response={202: DrillOut, 409: dict}, summary="Ask for a blast-radius drill"
)
def post_drill(request: HttpRequest) -> Any:
    try:
        return Status(202, ask_for_drill(actor=request.auth))  # type: ignore[attr-defined]
    except DrillUnderWay as error:
        return Status(409, {"detail": str(error), "field": "", "errors": []})


@router.get("/drills/{report_id}", auth=READ, response=DrillOut, summary="One drill with its report")
def get_drill(request: HttpRequest, report_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Any:
    return DrillReport.objects.get(pk=report_id)


def _drill(report: DrillReport) -> dict[str, Any]:
    return {
        "id": report.pk,
        "state": report.state,
        "requested_at": report.requested_at,
        "ended_at": report.ended_at,
    }
