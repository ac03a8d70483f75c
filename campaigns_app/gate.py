"""Whether mails may go out now: the window, answers nobody has read, and the limits of mailbox and campaign."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone

from campaigns_app.models import InboundEvent, Touch
from campaigns_app.planning import window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from campaigns_app.models import Campaign, Enrollment

#: Limits count the mails of any such span.
THROTTLE = dt.timedelta(days=1)
#: How long a step waits for an answer to be read before it looks again.
UNREAD_PAUSE = dt.timedelta(minutes=2)


class Gate:
    """Decides for some enrollments at one moment, and counts what it lets through.

    Exact for a caller that holds the locks of campaign and mailbox; for any other a first look.
    """

    def __init__(self, enrollments: Sequence[Enrollment]) -> None:
        self.now = timezone.now()
        unread = InboundEvent.objects.filter(
            kind=InboundEvent.Kind.MESSAGE, touch__enrollment_id__in=[each.pk for each in enrollments]
        )
        self._unread = set(unread.values_list("touch__enrollment_id", flat=True))
        self._rooms: dict[tuple[str, int], Room] = {}

    def closed_until(self, enrollment: Enrollment) -> dt.datetime | None:
        """When this mail may go out instead, or None when it may go out now."""
        window = window_of(enrollment.campaign, enrollment.contact)
        if not window.is_open(self.now):
            return window.next_open(self.now)
        if enrollment.pk in self._unread:
            return window.next_open(self.now + UNREAD_PAUSE)
        for room in self._rooms_of(enrollment.campaign):
            if free_at := room.full_until():
                return window.next_open(free_at)
        return None

    def let_through(self, enrollment: Enrollment) -> None:
        for room in self._rooms_of(enrollment.campaign):
            room.taken += 1

    def _rooms_of(self, campaign: Campaign) -> tuple[Room, Room]:
        mailbox = campaign.mailbox
        limits = (
            (("mailbox", mailbox.pk), {"step__campaign__mailbox": mailbox.pk}, mailbox.daily_limit),
            (("campaign", campaign.pk), {"step__campaign": campaign.pk}, campaign.daily_limit),
        )
        for key, whose, limit in limits:
            if key not in self._rooms:
                self._rooms[key] = Room(Touch.objects.filter(**whose), limit, self.now)
        return self._rooms[limits[0][0]], self._rooms[limits[1][0]]


class Room:
    """What a limit of mails a day has left."""

    def __init__(self, sends: QuerySet[Touch], limit: int, now: dt.datetime) -> None:
        self._now, self._limit = now, limit
        self._committed = sends.filter(sending_at__gt=now - THROTTLE).order_by("-sending_at")
        self._before = self._committed.order_by()[:limit].count() if limit else 0
        self._free_at: dt.datetime | None = None
        self.taken = 0

    def full_until(self) -> dt.datetime | None:
        """When one more of these mails fits; None when it fits now."""
        if self._before + self.taken < self._limit:
            return None
        if self._free_at is None:
            self._free_at = self._oldest_counted() + THROTTLE + dt.timedelta(seconds=1)
        return self._free_at

    def _oldest_counted(self) -> dt.datetime:
        """When the mail went out that makes room once it is a day old: `limit` mails ago, those of now included."""
        before = self._limit - self.taken - 1
        if before < 0:
            return self._now
        counted = self._committed.values_list("sending_at", flat=True)[before : before + 1]
        return next(iter(counted), None) or self._now
