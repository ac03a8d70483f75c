"""Reads for the campaign pages and the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Prefetch, Q, QuerySet

from campaigns_app.models import Campaign, Enrollment, InboundEvent, Suppression, Touch
from campaigns_app.steering import Selection

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One dated line of a contact's history; `touch` when it is about a mail."""

    at: dt.datetime
    kind: str
    title: str
    detail: str = ""
    touch: Touch | None = None
    quote: str = ""


@dataclass(frozen=True, slots=True)
class EnrollmentPage:
    enrollment: Enrollment
    sentence: str
    timeline: tuple[TimelineEntry, ...]
    touches: tuple[Touch, ...]
    answerable: Touch | None
    steps: int


def campaigns() -> QuerySet[Campaign]:
    """Campaigns with their counts of enrollments and sends."""
    by_state = {
        f"{name}_count": Count("enrollments", filter=Q(enrollments__status=name), distinct=True)
        for name in ("active", "replied", "parked")
    }
    return Campaign.objects.select_related("mailbox").annotate(
        people=Count("enrollments", distinct=True),
        sent_count=Count(
            "enrollments__touches", filter=Q(enrollments__touches__status=Touch.Status.SENT), distinct=True
        ),
        **by_state,
    )


def enrollments(campaign: Campaign, *, status: str = "", q: str = "") -> QuerySet[Enrollment]:
    rows = Selection(campaign, status=status, q=q).rows().select_related("contact")
    sends = Count("touches", filter=Q(touches__status=Touch.Status.SENT))
    return rows.annotate(sends=sends).order_by("-created_at", "pk")


def suppressions(q: str = "") -> QuerySet[Suppression]:
    """The newest first, of those whose address or note holds the words."""
    rows = Suppression.objects.order_by("-created_at")
    return rows.filter(Q(email__icontains=q[:200]) | Q(note__icontains=q[:200])) if q else rows


def outbox(status: str = "") -> QuerySet[Touch]:
    """Mails as they stand, the newest first; what nobody knows about can be asked for alone."""
    rows = Touch.objects.select_related("step", "enrollment__contact", "enrollment__campaign")
    return (rows.filter(status=status) if status else rows).order_by("-composed_at")


def enrollment_page(enrollment_id: str) -> EnrollmentPage | None:
    touches = Touch.objects.select_related("step").prefetch_related("events").order_by("step__position")
    enrollment = (
        Enrollment.objects.select_related("campaign__mailbox", "contact")
        .prefetch_related(Prefetch("touches", queryset=touches))
        .filter(pk=enrollment_id)
        .first()
    )
    if enrollment is None:
        return None
    rows = tuple(enrollment.touches.all())
    sent = [touch for touch in rows if touch.status in (Touch.Status.SENT, Touch.Status.UNKNOWN)]
    return EnrollmentPage(
        enrollment=enrollment,
        sentence=sentence(enrollment, sent),
        timeline=timeline(enrollment, rows),
        touches=rows,
        answerable=sent[-1] if sent and enrollment.status != Enrollment.Status.REPLIED else None,
        steps=enrollment.campaign.steps.count(),
    )


def sentence(enrollment: Enrollment, sent: list[Touch]) -> str:
    """Will anything else be sent to this person, and did they answer?"""
    status = Enrollment.Status
    replied_to = next((t for t in sent if any(e.kind == "reply" for e in t.events.all())), None)
    if enrollment.status == status.REPLIED:
        step = f" to step {replied_to.step.position + 1}" if replied_to else ""
        return f"replied{step}. The sequence stopped; nothing else will go out."
    return {
        status.ACTIVE: f"waits for step {enrollment.position + 1}.",
        status.PAUSED: "is paused; nothing goes out until the campaign is resumed.",
        status.PARKED: "is parked: a person has to look before anything else goes out.",
        status.FINISHED: "has had every step; nothing else will go out.",
        status.UNSUBSCRIBED: "unsubscribed; nothing else will go out.",
        status.BOUNCED: "could not be reached; nothing else will go out.",
        status.STOPPED: "was stopped; nothing else will go out.",
        status.FAILED: "was refused by the mail server; nothing else will go out.",
    }[status(enrollment.status)]


def timeline(enrollment: Enrollment, touches: tuple[Touch, ...]) -> tuple[TimelineEntry, ...]:
    entries = [TimelineEntry(enrollment.created_at, "enrolled", f"Enrolled in {enrollment.campaign}")]
    for touch in touches:
        entries.extend(touch_entries(touch))
    if enrollment.ended_at and enrollment.status != Enrollment.Status.REPLIED:
        entries.append(TimelineEntry(enrollment.ended_at, "ended", f"Sequence ended: {enrollment.status}"))
    return tuple(sorted(entries, key=lambda entry: entry.at))


def touch_entries(touch: Touch) -> list[TimelineEntry]:
    step = f"Step {touch.step.position + 1}"
    ran = f"{touch.pool} ran {touch.step.assistant_id}, routing v{touch.routing_version}."
    entries = [TimelineEntry(touch.composed_at, "composed", f"{step} composed", ran, touch)]
    if touch.sent_at:
        entries.append(TimelineEntry(touch.sent_at, "sent", f"{step} sent", f"“{touch.subject}”", touch))
    elif touch.status == Touch.Status.UNKNOWN and touch.sending_at:
        entries.append(
            TimelineEntry(touch.sending_at, "unknown", f"{step} may have gone out", touch.error, touch)
        )
    elif touch.status == Touch.Status.FAILED:
        entries.append(TimelineEntry(touch.composed_at, "failed", f"{step} was refused", touch.error, touch))
    for event in touch.events.all():
        by = f"Recorded by {event.actor}." if event.actor else f"From source event {event.source_event_id}."
        title = f"{InboundEvent.Kind(event.kind).label.capitalize()} received"
        entries.append(TimelineEntry(event.received_at, event.kind, title, by, touch, event.text))
    return entries


def touches_of_runs(run_ids: list[str]) -> dict[str, Touch]:
    """Run id → the touch its mail became, for links from a trace."""
    rows = Touch.objects.filter(langsmith_run_id__in=run_ids).select_related("enrollment__campaign", "step")
    return {touch.langsmith_run_id: touch for touch in rows}
