"""Whether mails may go out now: the window, answers nobody has read, and the limits of mailbox and campaign."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from django.db.models import Count
from django.utils import timezone

from campaigns_app.models import Campaign, InboundEvent, Tally, Touch
from campaigns_app.planning import window_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.models import QuerySet

    from campaigns_app.models import Enrollment

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
        self._books = books_of({each.campaign.mailbox_id for each in enrollments}, self.now)

    def closed_until(self, enrollment: Enrollment) -> dt.datetime | None:
        """When this mail may go out instead, or None when it may go out now."""
        campaign = enrollment.campaign
        window = window_of(campaign, enrollment.contact)
        if not window.is_open(self.now):
            return window.next_open(self.now)
        if enrollment.pk in self._unread:
            return window.next_open(self.now + UNREAD_PAUSE)
        if free_at := self._books[campaign.mailbox_id].full_until(campaign):
            return window.next_open(free_at)
        return None

    def let_through(self, enrollment: Enrollment) -> None:
        campaign = enrollment.campaign
        self._books[campaign.mailbox_id].taken[campaign.pk] += 1

    def keep(self) -> None:
        """Store what was counted and let through. The caller holds the locks."""
        tallies = [each for book in self._books.values() for each in book.tallies()]
        Tally.objects.bulk_create(
            sorted(tallies, key=lambda tally: tally.pk),
            update_conflicts=True,
            unique_fields=["campaign"],
            update_fields=["promised", "at"],
        )


def books_of(mailboxes: Collection[int], now: dt.datetime) -> dict[int, Book]:
    """The book of each of these mailboxes, by its campaigns' tallies."""
    tallies: dict[int, dict[int, int | None]] = {mailbox: {} for mailbox in mailboxes}
    campaigns = Campaign.objects.filter(mailbox__in=mailboxes).order_by()
    read = campaigns.values_list("pk", "mailbox", "tally__promised", "tally__at")
    for campaign, mailbox, promised, at in read:
        tallies[mailbox][campaign] = promised if at is not None and at <= now else None
    return {mailbox: Book(of_each, now) for mailbox, of_each in tallies.items()}


class Book:
    """The mails of a mailbox in the last day, by campaign: first as their tallies say, no fewer than there were.

    Only where that fills a limit, or a tally cannot be relied on (None), they are counted.
    """

    def __init__(self, tallies: dict[int, int | None], now: dt.datetime) -> None:
        self._now, self._tallies = now, tallies
        self._before = {campaign: promised or 0 for campaign, promised in tallies.items()}
        self._counted = False
        if None in tallies.values():
            self._count()
        #: Mails of now, by campaign.
        self.taken: Counter[int] = Counter()
        self._free_at: dict[tuple[int, ...], dt.datetime] = {}

    def tallies(self) -> list[Tally]:
        """What is to be stored."""
        promised = {campaign: before + self.taken[campaign] for campaign, before in self._before.items()}
        return [
            Tally(campaign_id=campaign, promised=now, at=self._now)
            for campaign, now in promised.items()
            if now != self._tallies[campaign]
        ]

    def full_until(self, campaign: Campaign) -> dt.datetime | None:
        """When one more mail of this campaign fits both limits; None when it fits now."""
        limits = ((campaign.mailbox.daily_limit, tuple(self._before)), (campaign.daily_limit, (campaign.pk,)))
        return next((self._free(limit, whose) for limit, whose in limits if self._full(limit, whose)), None)

    def _full(self, limit: int, campaigns: tuple[int, ...]) -> bool:
        if self._promised(campaigns) >= limit and not self._counted:
            self._count()
        return self._promised(campaigns) >= limit

    def _promised(self, campaigns: tuple[int, ...]) -> int:
        return sum(self._before[campaign] + self.taken[campaign] for campaign in campaigns)

    def _committed(self, campaigns: Collection[int]) -> QuerySet[Touch]:
        """Mails of the last day, those of now not yet among them."""
        return Touch.objects.filter(step__campaign__in=campaigns, sending_at__gt=self._now - THROTTLE)

    def _count(self) -> None:
        of_each = self._committed(self._before).order_by().values_list("step__campaign")
        self._before = dict.fromkeys(self._before, 0) | dict(of_each.annotate(Count("pk")))
        self._counted = True

    def _free(self, limit: int, campaigns: tuple[int, ...]) -> dt.datetime:
        """When the mail is a day old that makes room: `limit` mails ago, those of now included."""
        if campaigns not in self._free_at:
            before = limit - sum(self.taken[campaign] for campaign in campaigns) - 1
            newest_first = (
                self._committed(campaigns).order_by("-sending_at").values_list("sending_at", flat=True)
            )
            oldest = next(iter(newest_first[before : before + 1]), None) if before >= 0 else None
            self._free_at[campaigns] = (oldest or self._now) + THROTTLE + dt.timedelta(seconds=1)
        return self._free_at[campaigns]
