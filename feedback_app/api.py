"""`POST /api/feedback`, and reading what was said of a run."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.errors import HttpError
from pydantic import ConfigDict

from feedback_app import selectors
from feedback_app.services import submit_feedback
from feedback_app.store import KEY_MAX, FeedbackError
from registry_app.auth import Requires

router = Router(tags=["feedback"])


class FeedbackIn(Schema):
    model_config = ConfigDict(extra="forbid")

    run_id: uuid.UUID
    key: str = Field(min_length=1, max_length=KEY_MAX)
    score: float | bool | None = None
    value: Any = None
    comment: str = Field("", max_length=20_000)
    source: Literal["human", "model", "outcome", "api"] = "api"
    source_event_id: str = Field("", max_length=255)


class FeedbackOut(Schema):
    id: uuid.UUID
    run_id: uuid.UUID
    key: str
    score: float | None
    value: Any
    comment: str
    source: str
    source_event_id: str
    rater: str
    created_at: dt.datetime
    modified_at: dt.datetime


@router.post(
    "",
    response={200: FeedbackOut, 201: FeedbackOut},
    auth=Requires("feedback:write", "feedback_app.add_feedback"),
)
def post_feedback(request: HttpRequest, payload: FeedbackIn) -> tuple[int, Any]:
    """Rate a run: 201 the first time, 200 on a repeat or an edit."""
    values = payload.dict() | {"run_id": str(payload.run_id)}
    try:
        result = submit_feedback(**values, actor=request.auth.name)  # type: ignore[attr-defined]
    except FeedbackError as error:
        raise HttpError(422, str(error)) from error
    return (201 if result.created else 200), result.feedback


@router.get("", response=list[FeedbackOut], auth=Requires("read", "feedback_app.view_feedback"))
def get_feedback(request: HttpRequest, run_id: uuid.UUID) -> Any:
    """What was said of one run, newest first."""
    return selectors.for_runs([str(run_id)]).get(str(run_id), [])
