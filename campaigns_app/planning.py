"""When an enrollment is due next: after a step, after an absence, after a pause.

The caller holds the row's lock; what is decided stands in the row at hand until `keep` stores it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.utils import timezone

from campaigns_app.bulk import write
from campaigns_app.models import Campaign, Enrollment, Touch
from campaigns_app.schedule import Spreader, Window, next_due

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from campaigns_app.models import Contact

#: Dates of a plan that a preview lists one by one.
SHOWN_DAYS = 14
#: What is decided about an enrollment.
PLANNED = ("status", "held", "position", "due_at", "claimed_by", "attempts", "last_error", "ended_at")


@dataclass(frozen=True, slots=True)
class Planned:
    """One enrollment and when it will be due; `moved` when that is later than it was."""

    enrollment: Enrollment
    due_at: dt.datetime
    moved: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What goes out when a pause ends."""

    total: int
    overdue: int
    #: (date in the campaign's zone, mails due), the first days.
    days: tuple[tuple[dt.date, int], ...]
    first: tuple[Planned, ...]


def window_of(campaign: Campaign, contact: Contact) -> Window:
    return Window(
        weekdays=frozenset(campaign.weekdays),
        start=campaign.window_start,
        end=campaign.window_end,
        zone=ZoneInfo(contact.timezone or campaign.timezone),
    )


def resting_status(campaign: Campaign) -> str:
    """What an enrollment that may go on is while its campaign runs or does not."""
    running = campaign.status == Campaign.Status.ACTIVE
    return Enrollment.Status.ACTIVE if running else Enrollment.Status.PAUSED


def end(enrollment: Enrollment, status: str, at: dt.datetime | None = None) -> bool:
    """End an enrollment for good; false when it had ended before. Who had every step may still answer."""
    answers = enrollment.status == Enrollment.Status.FINISHED and status in Enrollment.ANSWERED
    if enrollment.status in Enrollment.ENDED and not answers:
        return False
    enrollment.status = status
    enrollment.ended_at = at or timezone.now()
    enrollment.claimed_by = ""
    return True


def confirm_sent(enrollment: Enrollment, touch: Touch, *, at: dt.datetime) -> None:
    """The mail of a touch left at `at`: say so and plan what follows. Nobody who ended is brought back."""
    touch.status, touch.sent_at, touch.error = Touch.Status.SENT, at, ""
    if enrollment.status in Enrollment.ENDED:
        return
    unpark(enrollment)
    plan_next(enrollment, done=touch.step.position, after=at)


def unpark(enrollment: Enrollment) -> None:
    """Let an enrollment that waited for a person go on as its campaign does."""
    if enrollment.status == Enrollment.Status.PARKED:
        enrollment.status = resting_status(enrollment.campaign)
        enrollment.begin_anew()


def plan_next(enrollment: Enrollment, *, done: int, after: dt.datetime) -> None:
    """Move on from step `done`, taken at `after`; who answered meanwhile stays where they ended."""
    following = next((step for step in enrollment.campaign.steps.all() if step.position > done), None)
    if following is None:
        end(enrollment, Enrollment.Status.FINISHED)
        return
    window = window_of(enrollment.campaign, enrollment.contact)
    enrollment.position = following.position
    enrollment.due_at = next_due(after, delay=following.delay, unit=following.delay_unit, window=window)
    enrollment.claimed_by, enrollment.attempts, enrollment.last_error = "", 0, ""


def keep(enrollments: Sequence[Enrollment]) -> None:
    """Store what was decided here about rows that the caller has locked."""
    write(enrollments, PLANNED)


def plan_resume(campaign: Campaign, rows: Iterable[Enrollment], now: dt.datetime) -> list[Planned]:
    """Due times for enrollments that may go on again, the longest overdue first.

    What is overdue is spread over the open hours at the pace the limits allow, so that nothing goes out in a
    burst; what is not yet due keeps its time.
    """
    pace = min(campaign.daily_limit, campaign.mailbox.daily_limit)
    spreaders: dict[Window, Spreader] = {}
    plan = []
    overdue = 0
    for row in sorted(rows, key=lambda row: (row.due_at, row.pk)):
        window = window_of(campaign, row.contact)
        if row.due_at > now:
            plan.append(Planned(row, window.next_open(row.due_at), moved=False))
            continue
        spreader = spreaders.setdefault(window, Spreader(window, now, max(pace, 1)))
        plan.append(Planned(row, spreader.at(overdue), moved=True))
        overdue += 1
    return plan


def preview_of(campaign: Campaign, plan: list[Planned], *, shown: int = 20) -> Preview:
    """A plan summed up by day, with its first mails."""
    zone = ZoneInfo(campaign.timezone)
    by_day = Counter(each.due_at.astimezone(zone).date() for each in plan)
    first = sorted(plan, key=lambda each: each.due_at)[:shown]
    days = sorted(by_day.items())[:SHOWN_DAYS]
    return Preview(len(plan), sum(each.moved for each in plan), tuple(days), tuple(first))
