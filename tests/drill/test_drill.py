"""A short drill with real processes: every fault strikes, nobody else notices, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from platform_site.drill.run import OTHERS, Plan, drill


def children() -> set[int]:
    me = os.getpid()
    return {int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()}


@pytest.mark.processes
async def test_every_fault_strikes_and_the_others_do_not_fail() -> None:
    before = children()
    report = await drill(Plan(rate=10, seconds=1.5, callers=100), limits={"DISCOVERY": {"queue": 16}})
    assert children() <= before
    assert [fault.name for fault in report.faults] == ["killed", "silent", "failing", "blocked"]
    for figures in (report.calm, *(fault.victims for fault in report.faults)):
        assert set(figures) == set(OTHERS)
        assert all(seen.calls == 15 and seen.errors == 0 for seen in figures.values())
    killed, silent, failing, blocked = (fault.flood for fault in report.faults)
    assert killed["200 with an error inside"] >= 60  # the runs that held the slots were lost, and said so
    assert killed["503"] > 0
    assert set(silent) == {"429"}
    assert failing["500"] > 64
    assert blocked["429"] > 0
