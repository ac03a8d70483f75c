"""Reads for the campaign pages and the API."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db.models import Count, Prefetch, Q, QuerySet

from campaigns_app.models import Campaign, Enrollment, InboundEvent, Suppression, Touch
from campaigns_app.replies import ENDS
from campaigns_app.schedule import Window
from campaigns_app.steering import ACTIONS, TAKES, Selection


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
    unread: tuple[InboundEvent, ...]
    promises: tuple[Promise, ...]
    actions: tuple[str, ...]
    steps: int
    sends: int


@dataclass(frozen=True, slots=True)
class Promise:
    """Something this contact was promised, whether it was kept, and the figures."""

    text: str
    kept: bool
    figure: str


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


def unread(campaign: Campaign | None = None) -> QuerySet[InboundEvent]:
    """Answers that neither a graph nor a person has read yet, the oldest first."""
    rows = InboundEvent.objects.filter(kind=InboundEvent.Kind.MESSAGE)
    if campaign:
        rows = rows.filter(touch__enrollment__campaign=campaign)
    return rows.select_related("touch__enrollment__contact").order_by("received_at")


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
    unread = tuple(e for t in rows for e in t.events.all() if e.kind == InboundEvent.Kind.MESSAGE)
    markable = sent and not unread and enrollment.status != Enrollment.Status.REPLIED
    return EnrollmentPage(
        enrollment=enrollment,
        sentence=sentence(enrollment, sent, waiting=bool(unread)),
        timeline=timeline(enrollment, rows),
        touches=rows,
        answerable=sent[-1] if markable else None,
        unread=unread,
        promises=promises(rows),
        actions=tuple(action for action in ACTIONS if enrollment.status in TAKES[action]),
        steps=enrollment.campaign.steps.count(),
        sends=sum(touch.status == Touch.Status.SENT for touch in rows),
    )


def promises(touches: tuple[Touch, ...]) -> tuple[Promise, ...]:
    """The ledger's promises for one contact, computed from their touches."""
    promised = [touch for touch in touches if touch.sending_at]
    keys = {touch.key for touch in promised}
    answers = [e.received_at for t in touches for e in t.events.all() if e.kind in ENDS]
    after = [t for t in promised if answers and t.sending_at and t.sending_at > min(answers)]
    inside = [touch for touch in promised if in_promised_window(touch)]
    credited = [touch for touch in promised if touch.langsmith_run_id]
    return (
        Promise("No step sent twice", len(keys) == len(promised), f"{len(promised)} of {len(keys)}"),
        Promise("Nothing after an answer", not after, f"{len(after)} sends"),
        Promise("Every send inside its window", inside == promised, f"{len(inside)} of {len(promised)}"),
        Promise("Every send knows its run", credited == promised, f"{len(credited)} of {len(promised)}"),
    )


def in_promised_window(touch: Touch) -> bool:
    """Whether a send was committed inside the window that was in force then."""
    promise = touch.promise
    if not promise or touch.sending_at is None:
        return False
    window = Window(
        frozenset(promise["weekdays"]),
        dt.time.fromisoformat(promise["start"]),
        dt.time.fromisoformat(promise["end"]),
        ZoneInfo(promise["zone"]),
    )
    return window.is_open(touch.sending_at)


def sentence(enrollment: Enrollment, sent: list[Touch], *, waiting: bool) -> str:
    """Will anything else be sent to this person, and did they answer? `waiting`: an answer that is not read yet."""
    status = Enrollment.Status
    if waiting and enrollment.status not in Enrollment.ENDED:
        return "answered, and nobody has read it yet; nothing goes out until somebody has."
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
    version = f", routing v{touch.routing_version}" if touch.routing_version else ""
    graph = touch.enrollment.campaign.sequence_graph or touch.step.assistant_id
    ran = f"{touch.pool} ran {graph}{version}.".strip()
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
        if event.label:
            by += f" Read as {event.label}" + (f" ({event.confidence:.2f})." if event.confidence else ".")
        title = f"{InboundEvent.Kind(event.kind).label.capitalize()} received"
        entries.append(TimelineEntry(event.received_at, event.kind, title, by, touch, event.text))
    return entries


def touches_of_runs(run_ids: list[str]) -> dict[str, Touch]:
    """Run id → the touch its mail became, for links from a trace."""
    rows = Touch.objects.filter(langsmith_run_id__in=run_ids).select_related("enrollment__campaign", "step")
    return {touch.langsmith_run_id: touch for touch in rows}
