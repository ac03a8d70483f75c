"""What comes back: replies, out-of-office notes, bounces, unsubscribes. Each once, each credited to its run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from campaigns_app import planning
from campaigns_app.models import Enrollment, InboundEvent, Suppression, Touch
from campaigns_app.schedule import after_out_of_office
from campaigns_app.services import suppress
from feedback_app.services import submit_feedback

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

Kind = InboundEvent.Kind
#: How long somebody is taken to be away whose note names no day.
ABSENCE = dt.timedelta(days=7)
READ_TASK, READ_QUEUE = "campaigns.read_message", "campaigns"

#: What an event says about the run that wrote the mail: feedback key and score.
FEEDBACK = {
    Kind.REPLY: ("reply_received", 1.0),
    Kind.OUT_OF_OFFICE: ("out_of_office", 1.0),
    Kind.HARD_BOUNCE: ("bounced", 1.0),
    Kind.SOFT_BOUNCE: ("soft_bounced", 1.0),
    Kind.UNSUBSCRIBE: ("unsubscribed", 1.0),
    Kind.COMPLAINT: ("complained", 1.0),
}
ENDS = {
    Kind.REPLY: Enrollment.Status.REPLIED,
    Kind.HARD_BOUNCE: Enrollment.Status.BOUNCED,
    Kind.UNSUBSCRIBE: Enrollment.Status.UNSUBSCRIBED,
    Kind.COMPLAINT: Enrollment.Status.UNSUBSCRIBED,
}
SUPPRESSES = {
    Kind.HARD_BOUNCE: Suppression.Reason.BOUNCED,
    Kind.UNSUBSCRIBE: Suppression.Reason.UNSUBSCRIBED,
    Kind.COMPLAINT: Suppression.Reason.COMPLAINT,
}


@dataclass(frozen=True, slots=True)
class Recorded:
    event: InboundEvent
    created: bool


def touch_for(*, touch_id: str = "", message_ids: Sequence[str] = ()) -> Touch:
    """The touch an event answers, by its id or by In-Reply-To / References (newest first).

    Raises ValidationError naming the field when nothing matches.
    """
    if touch_id:
        found = Touch.objects.filter(pk=touch_id).first()
        name = "touch_id"
    else:
        by_id = {touch.message_id: touch for touch in Touch.objects.filter(message_id__in=list(message_ids))}
        found = next((by_id[each] for each in message_ids if each in by_id), None)
        name = "message_ids"
    if found is None:
        raise ValidationError({name: "No mail of ours has this id."})
    return found


@transaction.atomic
def record_event(
    *,
    kind: str,
    touch: Touch,
    source_event_id: str,
    text: str = "",
    return_date: dt.date | None = None,
    actor: str = "",
    mail: Mapping[str, Any] | None = None,
) -> Recorded:
    """Store an inbound event once and act on it. A repeat changes nothing and says so.

    The enrollment's lock orders this against sends: what is recorded first wins. A `message` is read by a graph
    afterwards; until then nothing goes out to its sender.
    """
    row = lock(touch)
    event, created = InboundEvent.objects.get_or_create(
        source_event_id=source_event_id,
        defaults={
            "kind": kind,
            "touch": touch,
            "text": text,
            "return_date": return_date,
            "actor": actor,
            "mail": dict(mail or {}),
        },
    )
    if not created:
        return Recorded(event, created=False)
    touch.refresh_from_db()
    if kind == Kind.NOT_SENT:
        was_not_sent(row, touch)
    else:
        was_sent(row, touch)
    if kind == Kind.MESSAGE:
        app.configure_task(READ_TASK, queue=READ_QUEUE).defer(event_id=event.pk)
    else:
        act_on(row, event)
    planning.keep([row])
    return Recorded(event, created=True)


def resolve_touch(*, touch_id: uuid.UUID, sent: bool, actor: str) -> Touch:
    """A person says whether an `unknown` mail left; kept as an event. Raises ValidationError when it is not unknown."""
    touch = Touch.objects.get(pk=touch_id)
    if touch.status != Touch.Status.UNKNOWN:
        raise ValidationError({"touch_id": f"This mail is {touch.status}, not unknown."})
    kind = Kind.DELIVERED if sent else Kind.NOT_SENT
    record_event(
        kind=kind,
        touch=touch,
        source_event_id=f"resolve:{touch.pk}:{touch.sending_at:%Y%m%dT%H%M%S.%f}",
        actor=actor,
    )
    return Touch.objects.select_related("step").get(pk=touch_id)


def lock(touch: Touch) -> Enrollment:
    rows = Enrollment.objects.select_for_update(of=("self",), no_key=True)
    rows = rows.select_related("campaign", "contact")
    return rows.get(pk=touch.enrollment_id)


def act_on(row: Enrollment, event: InboundEvent) -> None:
    """Do what the kind of an event asks for. The caller holds the enrollment's lock, and keeps the row."""
    kind = Kind(event.kind)
    if kind in SUPPRESSES:
        suppress(email=row.contact.email, reason=SUPPRESSES[kind])
    if kind in ENDS:
        planning.end(row, ENDS[kind])
    elif kind == Kind.OUT_OF_OFFICE and row.status not in Enrollment.ENDED:
        returns = event.return_date or (event.received_at + ABSENCE).date()
        back = after_out_of_office(returns, planning.window_of(row.campaign, row.contact))
        row.due_at = max(row.due_at, back)
    if kind in FEEDBACK:
        key, score = FEEDBACK[kind]
        submit_feedback(
            run_id=event.touch.langsmith_run_id,
            key=key,
            score=score,
            comment=event.text[:500],
            source="outcome",
            source_event_id=event.source_event_id,
        )


def was_sent(row: Enrollment, touch: Touch) -> None:
    """Any answer to a mail, a bounce included, proves that it left."""
    if touch.status == Touch.Status.UNKNOWN:
        planning.confirm_sent(row, touch, at=touch.sending_at or timezone.now())
        touch.save(update_fields=["status", "sent_at", "error"])


def was_not_sent(row: Enrollment, touch: Touch) -> None:
    """A person or the provider says that an unknown mail never left: it may be sent after all."""
    if touch.status != Touch.Status.UNKNOWN:
        raise ValidationError({"touch_id": f"This mail is {touch.status}, not unknown."})
    touch.status, touch.sending_at, touch.error = Touch.Status.COMPOSED, None, ""
    touch.save(update_fields=["status", "sending_at", "error"])
    if row.status not in Enrollment.ENDED:
        planning.unpark(row)
        row.due_at = timezone.now()


def unread(event_id: int) -> InboundEvent:
    """A stored event with its touch. Raises InboundEvent.DoesNotExist."""
    return InboundEvent.objects.select_related("touch").get(pk=event_id)


@transaction.atomic
def settle_message(event_id: int, **read: Any) -> bool:
    """Write what a message turned out to be and act on it; false when somebody had said so before."""
    row = lock(unread(event_id).touch)
    event = InboundEvent.objects.select_for_update(of=("self",)).select_related("touch").get(pk=event_id)
    if event.kind != Kind.MESSAGE:
        return False
    for name, value in read.items():
        setattr(event, name, value)
    event.save(update_fields=list(read))
    act_on(row, event)
    planning.keep([row])
    return True
