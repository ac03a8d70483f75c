"""How numbers, times and ids read on a page. Pure text, no markup."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache


def shown_duration(seconds: float | timedelta | None) -> str:
    """Three significant digits with the unit: `14 ms`, `9.42 s`, `3 m 20 s`, `3 d 21 h`. Unknown is empty."""
    if seconds is None:
        return ""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if not math.isfinite(value):
        return ""
    value = max(value, 0.0)
    if value < 0.9995:
        return f"{value * 1000:.0f} ms" if value >= 0.001 or value == 0 else "<1 ms"
    if value < 99.95:
        return f"{value:.{2 if value < 9.995 else 1}f} s"
    for big, small, big_unit, small_unit in (
        (86400, 3600, "d", "h"),
        (3600, 60, "h", "m"),
        (60, 1, "m", "s"),
    ):
        if value >= big:
            whole, rest = divmod(round(value / small), big // small)
            return f"{whole} {big_unit} {rest} {small_unit}" if rest else f"{whole} {big_unit}"
    return f"{value:.0f} s"


def shown_change(seconds: float | None) -> str:
    """`+2.80 s`, `−14 ms`, `±0`; unknown is empty."""
    if seconds is None:
        return ""
    if abs(seconds) < 0.001:
        return "±0"
    return ("+" if seconds > 0 else "−") + shown_duration(abs(seconds))


def shown_cost(amount: Decimal | float | None) -> str:
    """Dollars with four decimals; a real zero is `$0`, unknown is empty, dust is `<$0.0001`."""
    if amount is None:
        return ""
    value = Decimal(str(amount))
    if value == 0:
        return "$0"
    if 0 < value < Decimal("0.00005"):
        return "<$0.0001"
    return f"${value:,.4f}" if value < 100 else f"${value:,.2f}"


def shown_count(number: int | None) -> str:
    """`7,812`; unknown is empty, because an empty cell is not a zero."""
    return "" if number is None else f"{number:,}"


def shown_percent(part: float | None) -> str:
    """A share 0..1 as `1.2 %`, `81 %`."""
    if part is None:
        return ""
    value = part * 100
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def shown_time(moment: datetime, show: str = "full") -> str:
    """`Thu 19 Nov, 11:41:07` in UTC; `clock`, `minute` and `day` show a part, `near` the day only when it is not today's.

    The browser rewrites it to its zone.
    """
    at = moment.astimezone(UTC)
    clock = f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    if show == "clock" or (show == "near" and at.date() == datetime.now(UTC).date()):
        return clock
    if show == "minute":
        return clock[:5]
    return _day(at.date()) if show == "day" else f"{_day(at.date())}, {clock}"


@lru_cache(maxsize=512)  # a page tells few days, many times each
def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def clipped(text: object, most: int) -> str:
    """At most so many characters; an ellipsis stands for the rest."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def short_id(value: object) -> str:
    """The first 8 characters: enough to tell ids apart by eye."""
    return str(value or "")[:8]
