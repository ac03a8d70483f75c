"""`/api/campaigns/…`: campaigns, enrollment, inbound events, the ledger."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema
from pydantic import ConfigDict

from campaigns_app import ledger, replies, selectors, services
from campaigns_app.models import Campaign, working_days
from registry_app.auth import Requires

router = Router(tags=["campaigns"])
READ = Requires("read", "campaigns_app.view_campaign")
WRITE = Requires("campaigns:write", "campaigns_app.change_campaign")


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class StepIn(Strict):
    assistant_id: str = Field("email_compose", max_length=100)
    delay: int = Field(0, ge=0, le=8_760)
    delay_unit: Literal["hours", "business_days"] = "business_days"
    same_thread: bool = True


class CampaignIn(Strict):
    name: str = Field(max_length=120, min_length=1)
    slug: str = Field(max_length=50, pattern=r"^[-a-z0-9_]+$")
    mailbox: str = Field(max_length=254)
    product: str = Field("", max_length=200)
    goal: str = Field("", max_length=200)
    timezone: str = Field("UTC", max_length=64)
    weekdays: list[int] = Field(default_factory=working_days, min_length=1, max_length=7)
    window_start: dt.time = dt.time(9, 0)
    window_end: dt.time = dt.time(17, 0)
    daily_limit: int = Field(200, ge=0, le=1_000_000)
    steps: list[StepIn] = Field(min_length=1, max_length=20)


class CampaignOut(Schema):
    name: str
    slug: str
    status: str
    people: int
    sent: int = Field(alias="sent_count")
    replied: int = Field(alias="replied_count")


class ContactsIn(Strict):
    rows: list[dict[str, str]] = Field(max_length=10_000)


class EnrollOut(Schema):
    enrolled: int
    already: int
    errors: list[str]


class EventIn(Strict):
    kind: Literal["reply", "out_of_office", "hard_bounce", "soft_bounce", "unsubscribe", "delivered"]
    source_event_id: str = Field(min_length=1, max_length=200)
    touch_id: uuid.UUID | None = None
    message_ids: list[str] = Field([], max_length=50)
    text: str = Field("", max_length=20_000)
    return_date: dt.date | None = None


class EventOut(Schema):
    kind: str
    touch_id: str
    langsmith_run_id: str
    created: bool


class TouchOut(Schema):
    id: uuid.UUID
    step: int = Field(alias="step.position")
    status: str
    subject: str
    langsmith_run_id: str
    pool: str
    routing_version: int | None
    message_id: str
    sent_at: dt.datetime | None


class EnrollmentOut(Schema):
    id: uuid.UUID
    email: str = Field(alias="contact.email")
    status: str
    position: int
    due_at: dt.datetime
    last_error: str
    touches: list[TouchOut]

    @staticmethod
    def resolve_touches(obj: Any) -> list[Any]:
        return list(obj.touches.all())


class ViolationOut(Schema):
    id: str
    detail: str


class InvariantOut(Schema):
    name: str
    ok: bool
    count: int
    violations: list[ViolationOut]


class LedgerOut(Schema):
    invariants: list[InvariantOut]


@router.get("/ledger", response=LedgerOut, auth=READ)
def get_ledger(request: HttpRequest) -> dict[str, Any]:
    """Every promise of the campaign engine, with the rows that break it."""
    return {"invariants": ledger.invariants()}


@router.post("/events", response={200: EventOut, 201: EventOut}, auth=WRITE)
def post_event(request: HttpRequest, payload: EventIn) -> tuple[int, dict[str, Any]]:
    """Record a reply, bounce, out-of-office or unsubscribe; 201 the first time, 200 on a repeat."""
    touch = replies.touch_for(touch_id=str(payload.touch_id or ""), message_ids=payload.message_ids)
    values = payload.dict(exclude={"touch_id", "message_ids"})
    recorded = replies.record_event(touch=touch, **values)
    event = recorded.event
    return (201 if recorded.created else 200), {
        "kind": event.kind,
        "touch_id": str(event.touch_id),
        "langsmith_run_id": event.touch.langsmith_run_id,
        "created": recorded.created,
    }


@router.get("", response=list[CampaignOut], auth=READ)
def list_campaigns(request: HttpRequest) -> Any:
    return selectors.campaigns()


@router.post("", response={201: CampaignOut}, auth=WRITE)
def create_campaign(request: HttpRequest, payload: CampaignIn) -> tuple[int, Any]:
    """A draft campaign; `activate` starts it."""
    campaign = services.create_campaign(**payload.dict())
    return 201, selectors.campaigns().get(pk=campaign.pk)


@router.post("/{slug}/enrollments", response=EnrollOut, auth=WRITE)
def enroll(request: HttpRequest, slug: str, payload: ContactsIn) -> Any:
    """Enroll contacts; a bad row is reported by number and field, the others go on."""
    return services.enroll(campaign=get_object_or_404(Campaign, slug=slug), rows=payload.rows)


@router.get("/{slug}/enrollments", response=list[EnrollmentOut], auth=READ)
def list_enrollments(request: HttpRequest, slug: str, status: str = "") -> Any:
    campaign = get_object_or_404(Campaign, slug=slug)
    rows = selectors.enrollments(campaign, status=status)
    return rows.prefetch_related("touches__step")[:1_000]


@router.post("/{slug}/activate", response=CampaignOut, auth=WRITE)
def activate(request: HttpRequest, slug: str) -> Any:
    services.activate(campaign=get_object_or_404(Campaign, slug=slug))
    return selectors.campaigns().get(slug=slug)


@router.post("/{slug}/pause", response=CampaignOut, auth=WRITE)
def pause(request: HttpRequest, slug: str) -> Any:
    services.pause(campaign=get_object_or_404(Campaign, slug=slug))
    return selectors.campaigns().get(slug=slug)
