"""What comes back: replies, out-of-office notes, bounces, unsubscribes. Each once, each credited to its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from campaigns_app.models import Enrollment, InboundEvent, Suppression, Touch
from campaigns_app.schedule import after_out_of_office
from campaigns_app.services import stop_enrollment, suppress, window_of
from feedback_app.services import submit_feedback

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

Kind = InboundEvent.Kind

#: What an event says about the run that wrote the mail: feedback key and score.
FEEDBACK = {
    Kind.REPLY: ("reply_received", 1.0),
    Kind.HARD_BOUNCE: ("bounced", 1.0),
    Kind.UNSUBSCRIBE: ("unsubscribed", 1.0),
}
ENDS = {
    Kind.REPLY: Enrollment.Status.REPLIED,
    Kind.HARD_BOUNCE: Enrollment.Status.BOUNCED,
    Kind.UNSUBSCRIBE: Enrollment.Status.UNSUBSCRIBED,
}
SUPPRESSES = {
    Kind.HARD_BOUNCE: Suppression.Reason.BOUNCED,
    Kind.UNSUBSCRIBE: Suppression.Reason.UNSUBSCRIBED,
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
) -> Recorded:
    """Store an inbound event once and act on it. A repeat changes nothing and says so."""
    row = Enrollment.objects.select_for_update().get(pk=touch.enrollment_id)
    event, created = InboundEvent.objects.get_or_create(
        source_event_id=source_event_id,
        defaults={"kind": kind, "touch": touch, "text": text, "return_date": return_date, "actor": actor},
    )
    if not created:
        return Recorded(event, created=False)
    resolve_unknown(touch)
    if kind in SUPPRESSES:
        suppress(email=row.contact.email, reason=SUPPRESSES[Kind(kind)])
    if kind in ENDS:
        stop_enrollment(enrollment=row, status=ENDS[Kind(kind)])
    elif kind == Kind.OUT_OF_OFFICE and return_date and row.status == Enrollment.Status.ACTIVE:
        row.due_at = max(row.due_at, after_out_of_office(return_date, window_of(row.campaign, row.contact)))
        row.save(update_fields=["due_at"])
    if kind in FEEDBACK:
        key, score = FEEDBACK[Kind(kind)]
        submit_feedback(
            run_id=touch.langsmith_run_id,
            key=key,
            score=score,
            comment=text[:500],
            source="outcome",
            source_event_id=source_event_id,
        )
    return Recorded(event, created=True)


def resolve_unknown(touch: Touch) -> None:
    """Any answer to a mail, a bounce included, proves that it left."""
    Touch.objects.filter(pk=touch.pk, status=Touch.Status.UNKNOWN).update(
        status=Touch.Status.SENT, sent_at=touch.sending_at, error=""
    )
