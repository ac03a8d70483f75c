"""Faults planted at real processes are found, named for what they are, and nothing else is.

`FAULT_TRACES` actions for each cause (3 unless set; `make faults` takes 100), `CLEAN_TRACES` without a fault.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults_traces.plants import clean, plant_all
from tests.faults_traces.rig import Rig, rig_on
from tests.faults_traces.score import Case, macro_f1, scores, table
from tests.integration.conftest import platform  # noqa: F401 fixture
from traces_app.diagnose import CODES, FLUSH_GRACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Platform

COUNT = int(os.environ.get("FAULT_TRACES", "3"))
CLEAN = int(os.environ.get("CLEAN_TRACES", "20"))


@pytest.fixture(scope="module")
def rig(platform: Platform) -> Iterator[Rig]:  # noqa: F811
    with rig_on(platform) as one:
        yield one


def test_every_planted_cause_is_found_and_no_other(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = [("", rig.each(lambda number: clean(rig, number), CLEAN))]
    planted += plant_all(rig, COUNT, tmp_path)
    rig.tracer.flush()
    time.sleep(FLUSH_GRACE.total_seconds() + 8)  # nothing counts as lost before it had its time
    cases = [
        Case(cause, frozenset(rig.codes(trace_id)), trace_id)
        for cause, traces in planted
        for trace_id in traces
    ]
    found = scores(cases)
    wrong = [case for case in cases if case.found != ({case.planted} - {""})]
    with capsys.disabled():
        print(f"\n{len(cases)} actions, {COUNT} for each cause, {CLEAN} clean\n{table(found)}")
        for case in wrong[:20]:
            told = ", ".join(sorted(case.found)) or "nothing"
            print(f"  {case.trace_id} planted {case.planted or 'nothing'}: found {told}")
    assert {cause for cause, _ in planted} - {""} == set(CODES), "a cause of the catalogue is never planted"
    assert [case for case in wrong if not case.planted] == [], "a false alarm over a clean action"
    assert macro_f1(found) >= 0.95
