"""What the campaign API takes and gives. A field nobody knows is refused by name."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Literal

from ninja import Field, Schema
from pydantic import ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from campaigns_app.enrolling import MOST_ROWS
from campaigns_app.models import UNSTORABLE, Enrollment, working_days
from platform_site.lib.texts import storable


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def is_storable(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and storable(text) != text:
                raise PydanticCustomError("unstorable", UNSTORABLE)
        return value


class StepIn(Strict):
    assistant_id: str = Field(
        "", max_length=100, description="Empty: email_compose first, email_followup after."
    )
    delay: int = Field(0, ge=0, le=8_760)
    delay_unit: Literal["hours", "business_days"] = "business_days"
    same_thread: bool = True
    variants: list[str] = Field([], max_length=3, description="Tones tried against each other.")


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
    sequence_graph: str | None = Field(
        None,
        max_length=100,
        description="Resumable graph that keeps each contact's sequence on a thread. Not named: campaign_sequence when "
        "there are several steps and none names a graph of its own. Empty: every step's graph runs by itself.",
    )
    steps: list[StepIn] = Field(min_length=1, max_length=20)


class CampaignOut(Schema):
    name: str
    slug: str
    status: str
    people: int
    sent: int = Field(alias="sent_count")
    replied: int = Field(alias="replied_count")


class ContactsIn(Strict):
    rows: list[dict[str, str]] = Field(max_length=MOST_ROWS)
    also_elsewhere: bool = Field(False, description="Enroll contacts who are active in another campaign too.")


class EnrollOut(Schema):
    enrolled: int
    already: int
    errors: list[str]


class RowOut(Schema):
    number: int
    email: str
    outcome: str
    field: str
    message: str


class ImportOut(EnrollOut):
    elsewhere: int
    rows: list[RowOut]


class SelectionIn(Strict):
    ids: list[uuid.UUID] = Field([], max_length=10_000)
    status: Enrollment.Status | Literal[""] = ""
    q: str = Field("", max_length=200)


class DayOut(Schema):
    date: dt.date
    mails: int


class PreviewOut(Schema):
    total: int
    overdue: int
    days: list[DayOut]

    @staticmethod
    def resolve_days(obj: Any) -> list[dict[str, Any]]:
        return [{"date": date, "mails": mails} for date, mails in obj.days]


class ImpactOut(Schema):
    action: str
    affected: int
    untouched: int
    by_status: dict[str, int]
    preview: PreviewOut | None

    @staticmethod
    def resolve_by_status(obj: Any) -> dict[str, int]:
        return dict(obj.by_status)


class ChangedOut(Schema):
    changed: int


class MailboxIn(Strict):
    display_name: str = Field("", max_length=120)
    daily_limit: int = Field(40, ge=0, le=1_000_000)


class MailboxOut(Schema):
    address: str
    display_name: str
    daily_limit: int


class ResolveIn(Strict):
    sent: bool


class SuppressionIn(Strict):
    email: str = Field(max_length=254)
    reason: Literal["unsubscribed", "bounced", "complaint", "manual"] = "manual"
    note: str = Field("", max_length=200)


class SuppressionOut(Schema):
    email: str
    reason: str
    note: str
    created_at: dt.datetime


class EventIn(Strict):
    kind: Literal[
        "reply",
        "out_of_office",
        "hard_bounce",
        "soft_bounce",
        "unsubscribe",
        "complaint",
        "delivered",
        "not_sent",
        "message",
    ]
    source_event_id: str = Field(min_length=1, max_length=200)
    touch_id: uuid.UUID | None = None
    message_ids: list[str] = Field([], max_length=50)
    text: str = Field("", max_length=20_000)
    return_date: dt.date | None = None
    raw: str = Field("", max_length=1_000_000, description="For `message`: the mail itself (RFC 5322).")


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
    enrollment_id: str


class InvariantOut(Schema):
    name: str
    ok: bool
    count: int
    violations: list[ViolationOut]


class LedgerOut(Schema):
    invariants: list[InvariantOut]
