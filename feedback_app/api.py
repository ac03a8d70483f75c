"""`/api/feedback`: give, read, retract, roll up, and look after what could not be delivered."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ninja import Router, Schema, Status
from ninja.errors import HttpError, ValidationError
from pydantic import ConfigDict, Field, WithJsonSchema

from feedback_app import selectors, services
from feedback_app.models import Delivery, Feedback
from feedback_app.store import FeedbackError
from registry_app.auth import Requires

if TYPE_CHECKING:
    from django.http import HttpRequest

router = Router(tags=["feedback"])
Limit = Annotated[int, Field(ge=1, le=500)]
#: Read by the service alone: of a choice of types the framework names the first that did not fit.
Score = Annotated[Any, WithJsonSchema({"anyOf": [{"type": each} for each in ("number", "boolean", "null")]})]
may_write = Requires("feedback:write", "feedback_app.add_feedback")
may_read = Requires("read", "feedback_app.view_feedback")


class FeedbackIn(Schema):
    model_config = ConfigDict(extra="forbid")

    run_id: str
    key: str
    score: Score = None
    value: Any = None
    comment: str | None = None
    source: Literal["human", "model", "outcome", "api"] = "api"
    source_event_id: str | None = None


class FeedbackOut(Schema):
    id: str
    run_id: str
    key: str
    score: float | None
    value: Any
    comment: str
    source: str
    source_event_id: str
    rater: str
    created_at: datetime
    modified_at: datetime
    retracted_at: datetime | None
    bound: bool
    delivery: str


class FeedbackList(Schema):
    items: list[FeedbackOut]


class ScoreOut(Schema):
    key: str
    source: str
    group: str
    count: int
    mean: float
    low: float | None
    high: float | None


class ScoreList(Schema):
    items: list[ScoreOut]


class DeliveryOut(Schema):
    id: int
    feedback_id: str
    state: str
    attempts: int
    endpoint: str
    last_error: str
    created_at: datetime
    next_try_at: datetime | None
    delivered_at: datetime | None


class DeliveryList(Schema):
    items: list[DeliveryOut]


def _bad(error: FeedbackError) -> ValidationError:
    return ValidationError([{"type": "value_error", "loc": ["body", error.field], "msg": error.message}])


@router.post("", auth=may_write, response={201: FeedbackOut, 200: FeedbackOut})
def submit(request: HttpRequest, body: FeedbackIn) -> Any:
    """201 for a new row, 200 for a repeat or an edit. The run need not have arrived yet."""
    given = body.model_dump()
    given["source_event_id"] = given["source_event_id"] or ""
    try:
        actor = request.auth  # type: ignore[attr-defined]
        result = services.submit_feedback(**given, actor=actor, project=actor.project)
    except FeedbackError as error:
        raise _bad(error) from None
    row = selectors.get_row(result.feedback.pk)
    return Status(201 if result.created else 200, row)


@router.get("", auth=may_read, response=FeedbackList)
def read(
    request: HttpRequest,
    run_id: str = "",
    key: str = "",
    source: str = "",
    before: datetime | None = None,
    limit: Limit = 50,
) -> Any:
    return {
        "items": selectors.list_feedback(run_id=run_id, key=key, source=source, before=before, limit=limit)
    }


@router.get("/scores", auth=may_read, response=ScoreList)
def scores(
    request: HttpRequest,
    by: selectors.Dimension = "assistant_id",
    key: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Any:
    """Means with 95 % intervals, read from roll-ups of a minute; human, model and outcome scores apart."""
    return {"items": selectors.score_rollup(by=by, key=key, since=since, until=until)}


@router.get("/deliveries", auth=may_read, response=DeliveryList)
def deliveries(request: HttpRequest, state: str = "", limit: Limit = 50) -> Any:
    """Newest first; `state=dead` lists the dead letters."""
    rows = Delivery.objects.filter(**({"state": state} if state else {}))[:limit]
    return {"items": [{**_fields(row), "feedback_id": str(row.feedback_id)} for row in rows]}


def _fields(row: Delivery) -> dict[str, Any]:
    names = ("id", "state", "attempts", "endpoint", "last_error", "created_at", "next_try_at", "delivered_at")
    return {name: getattr(row, name) for name in names}


@router.post("/deliveries/{delivery_id}/resend", auth=may_write, response={202: dict[str, bool]})
def resend(request: HttpRequest, delivery_id: int) -> Any:
    """Give a dead letter a new start; 409 when it is not one."""
    if not services.resend(delivery_id=delivery_id):
        raise HttpError(409, "delivery_id: not a dead letter")
    return Status(202, {"resent": True})


@router.delete("/{feedback_id}", auth=may_write, response={200: dict[str, bool]})
def retract(request: HttpRequest, feedback_id: str) -> Any:
    """Take it back; row and history stay."""
    try:
        changed = services.retract_feedback(feedback_id=feedback_id, actor=request.auth)  # type: ignore[attr-defined]
    except FeedbackError as error:
        raise _bad(error) from None
    except Feedback.DoesNotExist:
        raise HttpError(404, "feedback_id: no such feedback") from None
    return {"retracted": changed}
