"""Pure: when the next mail may go out. Times are aware; a window is read on the contact's own wall clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Window:
    """The weekdays and hours in which mails may go out, on the wall clock of `zone`."""

    weekdays: frozenset[int]
    start: dt.time
    end: dt.time
    zone: ZoneInfo

    def is_open(self, at: dt.datetime) -> bool:
        local = at.astimezone(self.zone)
        return local.weekday() in self.weekdays and self.start <= local.time() < self.end

    def next_open(self, at: dt.datetime) -> dt.datetime:
        """`at` itself when the window is open then, else the moment it next opens.

        The opening is made from a wall-clock time, so it stays at 09:00 on both sides of a DST change.
        """
        if self.is_open(at):
            return at
        local = at.astimezone(self.zone)
        day = local.date() if local.time() < self.start else local.date() + dt.timedelta(days=1)
        while day.weekday() not in self.weekdays:
            day += dt.timedelta(days=1)
        return dt.datetime.combine(day, self.start, tzinfo=self.zone).astimezone(dt.UTC)


def add_business_days(at: dt.datetime, days: int, zone: ZoneInfo) -> dt.datetime:
    """The same wall-clock time, `days` working days (Monday to Friday) later."""
    local = at.astimezone(zone)
    day = local.date()
    while days > 0:
        day += dt.timedelta(days=1)
        if day.weekday() < SATURDAY:
            days -= 1
    return dt.datetime.combine(day, local.time(), tzinfo=zone).astimezone(dt.UTC)


def next_due(after: dt.datetime, *, delay: int, unit: str, window: Window) -> dt.datetime:
    """When a step that follows `after` by `delay` hours or business days may go out."""
    if unit == "hours":
        return window.next_open(after + dt.timedelta(hours=delay))
    return window.next_open(add_business_days(after, delay, window.zone))


def after_out_of_office(return_date: dt.date, window: Window) -> dt.datetime:
    """The first opening of the window on the business day after the contact is back."""
    back = dt.datetime.combine(return_date, window.start, tzinfo=window.zone)
    return window.next_open(add_business_days(back, 1, window.zone))


class Spreader:
    """Spreads mails evenly over the open hours of a window: `per_day` of them fill one open day."""

    def __init__(self, window: Window, start: dt.datetime, per_day: int) -> None:
        self._window = window
        self._opens = window.next_open(start)
        opening = dt.datetime.combine(dt.date.min, window.start)
        length = dt.datetime.combine(dt.date.min, window.end) - opening
        self._gap = length / per_day
        self._before = dt.timedelta()  # open time used up before `_opens`

    def at(self, index: int) -> dt.datetime:
        """When the mail number `index` (from 0, asked for in rising order) may go out."""
        wanted = index * self._gap
        while (moment := self._opens + (wanted - self._before)) >= (closes := self._closing()):
            self._before += closes - self._opens
            self._opens = self._window.next_open(closes)
        return moment

    def _closing(self) -> dt.datetime:
        zone = self._window.zone
        day = self._opens.astimezone(zone).date()
        return dt.datetime.combine(day, self._window.end, tzinfo=zone).astimezone(dt.UTC)
