"""When a mail may go out, on the contact's own wall clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns_app.schedule import Window, add_business_days, after_out_of_office, next_due

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Window(frozenset(range(5)), dt.time(9), dt.time(17), BERLIN)


def berlin(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-18T10:00", "2026-11-18T10:00"),  # open: now
        ("2026-11-18T08:59:59", "2026-11-18T09:00"),  # before the opening
        ("2026-11-18T17:00", "2026-11-19T09:00"),  # the closing minute is closed
        ("2026-11-20T18:00", "2026-11-23T09:00"),  # Friday evening to Monday
        ("2026-03-27T18:00", "2026-03-30T09:00"),  # over the start of summer time
        ("2026-10-23T18:00", "2026-10-26T09:00"),  # and over its end
    ],
)
def test_next_open(at: str, opens: str) -> None:
    assert OFFICE.next_open(berlin(at)) == berlin(opens)


def test_business_days_keep_the_wall_clock_over_a_clock_change() -> None:
    friday = berlin("2026-10-23T10:30")
    assert add_business_days(friday, 1, BERLIN) == berlin("2026-10-26T10:30")
    assert add_business_days(friday, 6, BERLIN) == berlin("2026-11-02T10:30")


def test_out_of_office_resumes_one_business_day_after_the_return() -> None:
    assert after_out_of_office(dt.date(2026, 11, 20), OFFICE) == berlin("2026-11-23T09:00")


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
moments = st.integers(1_577_836_800, 2_051_222_400).map(
    lambda second: dt.datetime.fromtimestamp(second, dt.UTC)
)


@given(
    after=moments,
    zone=zones,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 22),
    length=st.integers(1, 23),
    delay=st.integers(0, 400),
    unit=st.sampled_from(["hours", "business_days"]),
)
def test_a_mail_never_leaves_early_nor_outside_its_window(
    after: dt.datetime, zone: str, days: frozenset[int], start: int, length: int, delay: int, unit: str
) -> None:
    end = dt.time(23, 59) if start + length > 23 else dt.time(start + length)
    window = Window(days, dt.time(start), end, ZoneInfo(zone))
    due = next_due(after, delay=delay, unit=unit, window=window)
    local = due.astimezone(window.zone)
    assert due >= after
    assert local.weekday() in days
    # An opening that falls into the hour a clock change skips is read an hour later; never earlier.
    assert local.time() >= window.start
