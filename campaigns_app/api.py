"""`/api/campaigns/…`: campaigns, enrollment, inbound events, the ledger."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router, Status
from ninja.errors import HttpError
from ninja.files import UploadedFile
from pydantic import ValidationError as ShapeError

from campaigns_app import enrolling, ledger, reading, replies, selectors, services, steering, webhook
from campaigns_app.models import Campaign, Enrollment
from campaigns_app.schemas import (
    CampaignIn,
    CampaignOut,
    ChangedOut,
    ContactsIn,
    EnrollmentOut,
    EnrollOut,
    EventIn,
    EventOut,
    ImpactOut,
    ImportOut,
    LedgerOut,
    MailboxIn,
    MailboxOut,
    ResolveIn,
    SelectionIn,
    SuppressionIn,
    SuppressionOut,
    TouchOut,
)
from registry_app.audit import Actor
from registry_app.auth import Requires

router = Router(tags=["campaigns"])
READ = Requires("read", "campaigns_app.view_campaign")
WRITE = Requires("campaigns:write", "campaigns_app.change_campaign")


@router.get("/ledger", response=LedgerOut, auth=READ)
def get_ledger(request: HttpRequest) -> dict[str, Any]:
    """Every promise of the campaign engine, with the rows that break it."""
    return {"invariants": ledger.invariants()}


@router.post("/events", response={200: EventOut, 201: EventOut}, auth=WRITE)
def post_event(request: HttpRequest, payload: EventIn) -> Status[dict[str, Any]]:
    """Record what came back about a mail; 201 the first time, 200 on a repeat."""
    return record(payload)


@router.post("/webhook", response={200: EventOut, 201: EventOut}, auth=None)
def post_webhook(request: HttpRequest) -> Status[dict[str, Any]]:
    """The same for a mail provider: no key, but `x-agentic-signature: sha256=…`, the HMAC-SHA256 of
    `<x-agentic-timestamp>.<body>` with CAMPAIGNS_WEBHOOK_SECRET, not older than five minutes."""
    if not settings.CAMPAIGNS_WEBHOOK_SECRET:
        raise HttpError(503, "No provider events are taken: CAMPAIGNS_WEBHOOK_SECRET is not set.")
    try:
        webhook.verify(
            settings.CAMPAIGNS_WEBHOOK_SECRET,
            timestamp=request.headers.get(webhook.TIMESTAMP_HEADER, ""),
            signature=request.headers.get(webhook.SIGNATURE_HEADER, ""),
            body=request.body,
        )
    except webhook.BadSignatureError as error:
        raise HttpError(401, str(error)) from error
    try:
        return record(EventIn.model_validate_json(request.body))
    except ShapeError as error:
        raise ValidationError(
            {".".join(map(str, each["loc"])) or "body": each["msg"] for each in error.errors()}
        ) from error


def record(payload: EventIn) -> Status[dict[str, Any]]:
    values = payload.dict(exclude={"touch_id", "message_ids", "raw"})
    message_ids = payload.message_ids
    if payload.raw:
        mail = reading.parse(payload.raw)
        message_ids = [*message_ids, *mail.message_ids]
        values |= {"text": payload.text or mail.text, "mail": mail.facts()}
    touch = replies.touch_for(touch_id=str(payload.touch_id or ""), message_ids=message_ids)
    recorded = replies.record_event(touch=touch, **values)
    event = recorded.event
    said = {
        "kind": event.kind,
        "touch_id": str(event.touch_id),
        "langsmith_run_id": event.touch.langsmith_run_id,
        "created": recorded.created,
    }
    return Status(201 if recorded.created else 200, said)


@router.post("/touches/{touch_id}/resolve", response=TouchOut, auth=WRITE)
def resolve(request: HttpRequest, touch_id: uuid.UUID, payload: ResolveIn) -> Any:
    """Say whether an `unknown` mail left. Sent: the sequence goes on. Not sent: it may go out after all."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return replies.resolve_touch(touch_id=touch_id, sent=payload.sent, actor=str(actor.name))


@router.put("/mailboxes/{address}", response=MailboxOut, auth=WRITE)
def put_mailbox(request: HttpRequest, address: str, payload: MailboxIn) -> Any:
    """The name mails of an address carry, and how many of them may leave in any 24 hours."""
    return services.save_mailbox(address=address, **payload.dict())


@router.get("/suppressions", response=list[SuppressionOut], auth=READ)
def list_suppressions(request: HttpRequest, q: str = "") -> Any:
    """The newest thousand that match."""
    return selectors.suppressions(q)[:1_000]


@router.post("/suppressions", response={200: SuppressionOut, 201: SuppressionOut}, auth=WRITE)
def suppress(request: HttpRequest, payload: SuppressionIn) -> Status[Any]:
    created = services.suppress(email=payload.email, reason=payload.reason, note=payload.note)
    return Status(201 if created else 200, services.suppressions(payload.email).get())


@router.delete("/suppressions/{email}", response={204: None}, auth=WRITE)
def unsuppress(request: HttpRequest, email: str) -> Status[None]:
    if not services.unsuppress(email=email):
        raise HttpError(404, "This address is not suppressed.")
    return Status(204, None)


@router.get("", response=list[CampaignOut], auth=READ)
def list_campaigns(request: HttpRequest) -> Any:
    return selectors.campaigns()


@router.post("", response={201: CampaignOut}, auth=WRITE)
def create_campaign(request: HttpRequest, payload: CampaignIn) -> Status[Any]:
    """A draft campaign; `activate` starts it."""
    campaign = services.create_campaign(**payload.dict())
    return Status(201, selectors.campaigns().get(pk=campaign.pk))


@router.put("/{slug}", response=CampaignOut, auth=WRITE)
def save_campaign(request: HttpRequest, slug: str, payload: CampaignIn) -> Any:
    """Write a campaign anew, steps included. A step that wrote mails cannot be removed."""
    campaign = get_object_or_404(Campaign, slug=slug)
    services.save_campaign(campaign=campaign, **payload.dict())
    return selectors.campaigns().get(pk=campaign.pk)


@router.post("/{slug}/enrollments", response=EnrollOut, auth=WRITE)
def enroll(request: HttpRequest, slug: str, payload: ContactsIn) -> Any:
    """Enroll contacts; a bad row is reported by number and field, the others go on."""
    campaign = get_object_or_404(Campaign, slug=slug)
    return enrolling.enroll(campaign=campaign, rows=payload.rows, also_elsewhere=payload.also_elsewhere)


@router.post("/{slug}/import", response=ImportOut, auth=WRITE)
def import_csv(
    request: HttpRequest, slug: str, file: File[UploadedFile], also_elsewhere: Form[bool] = False
) -> Any:
    """Enroll the contacts of a CSV file (columns email, name, title, company, timezone, facts, notes)."""
    campaign = get_object_or_404(Campaign, slug=slug)
    rows = enrolling.read_csv(file.read(enrolling.MOST_BYTES + 1))
    return enrolling.enroll(campaign=campaign, rows=rows, also_elsewhere=also_elsewhere)


@router.post("/{slug}/impact/{action}", response=ImpactOut, auth=READ)
def impact(request: HttpRequest, slug: str, action: str, payload: SelectionIn) -> Any:
    """How many enrollments an action (pause, resume, skip, stop) would change now. Changes nothing."""
    return steering.impact(selection_of(slug, payload), action)


@router.post("/{slug}/act/{action}", response=ChangedOut, auth=WRITE)
def act(request: HttpRequest, slug: str, action: str, payload: SelectionIn) -> dict[str, int]:
    """Pause, resume, skip the next step of, or stop the enrollments selected."""
    return {"changed": steering.act(selection_of(slug, payload), action)}


def selection_of(slug: str, payload: SelectionIn) -> steering.Selection:
    return steering.Selection(get_object_or_404(Campaign, slug=slug), **payload.dict())


@router.get("/{slug}/enrollments", response=list[EnrollmentOut], auth=READ)
def list_enrollments(request: HttpRequest, slug: str, status: Enrollment.Status | Literal[""] = "") -> Any:
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
