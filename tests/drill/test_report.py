"""The verdict of a drill, from figures alone."""

from __future__ import annotations

import json

from platform_site.drill.report import FLOOR_MS, TIMES, Fault, Figures, Report, as_text, judged, rank, worse

CALM = {"EMAIL": Figures(100, 0, 10.0, 100.0), "CLASSIFY": Figures(100, 0, 10.0, 20.0)}


def fault(**victims: Figures) -> Fault:
    return Fault("killed", "it was killed", {**CALM, **victims}, {"503": 3})


def report(*faults: Fault, calm: dict[str, Figures] = CALM) -> Report:
    return Report("DISCOVERY", "dispatcher", 200, 25.0, 8.0, 1.5, calm, faults)


def test_figures_rank_what_was_answered_and_count_what_failed() -> None:
    seen = Figures.of(map(float, range(100, 0, -1)), ["503", "Silent"])
    assert (seen.calls, seen.errors, seen.first_error) == (102, 2, "503")
    assert (seen.p50_ms, seen.p99_ms) == (51.0, 100.0)
    assert Figures.of([], []) == Figures(0, 0, 0.0, 0.0)
    assert rank([7.0], 0.99) == 7.0


def test_a_victim_may_slow_down_up_to_the_limit() -> None:
    at_the_limit = Figures(100, 0, 10.0, 100.0 * TIMES)
    assert judged(fault(EMAIL=at_the_limit), CALM).problems == ()
    assert judged(fault(CLASSIFY=Figures(100, 0, 10.0, FLOOR_MS)), CALM).problems == ()
    [problem] = judged(fault(EMAIL=Figures(100, 0, 10.0, 100.0 * TIMES + 1)), CALM).problems
    assert problem == "p99 of EMAIL rose from 100 ms to 401 ms; 400 ms is allowed."


def test_one_failed_call_fails_the_drill_and_is_named() -> None:
    broken = judged(fault(EMAIL=Figures(100, 1, 10.0, 20.0, "503")), CALM)
    assert broken.problems == ("1 of 100 calls to EMAIL failed: 503.",)
    found = report(judged(fault(), CALM), broken)
    assert not found.passed
    assert as_text(found).endswith("FAILED")
    assert "1 of 100 calls to EMAIL failed" in as_text(found)


def test_a_drill_that_measured_nothing_has_not_passed() -> None:
    assert not report().passed
    assert not report(judged(fault(), CALM), calm={"EMAIL": Figures(0, 0, 0.0, 0.0)}).passed
    assert "got no call through" in judged(fault(EMAIL=Figures(0, 0, 0.0, 0.0)), CALM).problems[0]


def test_a_passed_report_is_plain_json() -> None:
    found = report(judged(fault(), CALM))
    assert found.passed
    plain = json.loads(json.dumps(found.as_json()))
    assert plain["passed"] is True
    assert plain["faults"][0]["victims"]["EMAIL"]["p99_ms"] == 100.0
    assert as_text(found).endswith("passed")


def test_the_worse_of_two_calm_runs_is_the_measure() -> None:
    quiet, noisy = Figures(100, 0, 10.0, 20.0), Figures(100, 0, 9.0, 90.0)
    assert worse(quiet, noisy) == worse(noisy, quiet) == noisy
    assert worse(noisy, Figures(100, 1, 9.0, 10.0)).errors == 1
