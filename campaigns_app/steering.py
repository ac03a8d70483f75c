"""Pause, resume, skip or stop enrollments, one or many: say first how many it would touch, then do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from campaigns_app import planning, services
from campaigns_app.models import Enrollment, Touch

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from campaigns_app.models import Campaign

Action = Literal["pause", "resume", "skip", "stop"]
ACTIONS: tuple[Action, ...] = ("pause", "resume", "skip", "stop")
STATUS = Enrollment.Status

#: The states an action can be taken in; every other enrollment is left as it is.
TAKES: dict[str, tuple[str, ...]] = {
    "pause": (STATUS.ACTIVE,),
    "resume": (STATUS.PAUSED, STATUS.PARKED),
    "skip": (STATUS.ACTIVE, STATUS.PAUSED, STATUS.PARKED),
    "stop": (STATUS.ACTIVE, STATUS.PAUSED, STATUS.PARKED),
}
#: Touches in these states keep an enrollment from an action.
UNSURE: dict[str, tuple[str, ...]] = {
    "skip": (Touch.Status.SENDING, Touch.Status.UNKNOWN),
    "resume": (Touch.Status.UNKNOWN,),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Enrollments of one campaign: those named, else those that match state and words; all when neither is given."""

    campaign: Campaign
    ids: Sequence[uuid.UUID] = ()
    status: str = ""
    q: str = ""

    def rows(self) -> QuerySet[Enrollment]:
        rows = self.campaign.enrollments.all()
        if self.ids:
            rows = rows.filter(pk__in=self.ids)
        if self.status:
            rows = rows.filter(status=self.status)
        if self.q:
            word = self.q[:200].replace("\x00", "")
            rows = rows.filter(
                Q(contact__name__icontains=word)
                | Q(contact__email__icontains=word)
                | Q(contact__company__icontains=word)
            )
        return rows


@dataclass(frozen=True, slots=True)
class Impact:
    """What an action would do: how many change, by state, and how many are left as they are."""

    action: str
    affected: int
    by_status: tuple[tuple[str, int], ...]
    untouched: int
    #: Only for resume: when what is overdue would go out.
    preview: planning.Preview | None = None


def validate_action(action: str) -> None:
    if action not in ACTIONS:
        raise ValidationError({"action": f"{action[:40]!r} is none of {', '.join(ACTIONS)}."})


def eligible(selection: Selection, action: str) -> QuerySet[Enrollment]:
    """The enrollments the action changes. A mail of which nobody knows whether it left is resolved first."""
    rows = selection.rows().filter(status__in=TAKES[action])
    if action in UNSURE:
        unsure = Touch.objects.filter(status__in=UNSURE[action])
        rows = rows.exclude(pk__in=unsure.values("enrollment_id"))
    return rows


def impact(selection: Selection, action: str) -> Impact:
    """Count what `act` would change now. Writes nothing."""
    validate_action(action)
    rows = eligible(selection, action)
    by_status = tuple(rows.order_by("status").values_list("status").annotate(n=Count("pk")))
    affected = sum(count for _, count in by_status)
    preview = None
    if action == "resume":
        plan = planning.plan_resume(selection.campaign, rows.select_related("contact"), timezone.now())
        preview = planning.preview_of(selection.campaign, plan)
    return Impact(action, affected, by_status, selection.rows().count() - affected, preview)


@transaction.atomic
def act(selection: Selection, action: str) -> int:
    """Do it to every enrollment that is eligible now; how many changed."""
    validate_action(action)
    rows = eligible(selection, action)
    if action == "pause":
        return rows.update(status=STATUS.PAUSED, held=True, claimed_by="")
    if action == "resume":
        return services.resume_rows(selection.campaign, rows.select_related("contact"))
    locked = list(
        rows.select_for_update(of=("self",), no_key=True)
        .order_by("pk")
        .select_related("contact", "campaign")
        .prefetch_related("campaign__steps")
    )
    for row in locked:
        if action == "stop":
            planning.end(row, STATUS.STOPPED)
        else:
            skip(row)
    planning.keep(locked)
    return len(locked)


def skip(row: Enrollment) -> None:
    """Leave out the next step; the one after it is planned from now."""
    planning.unpark(row)
    planning.plan_next(row, done=row.position, after=timezone.now())
    row.attempts = Enrollment.TRIED  # the letter of the step left out may be written just now
