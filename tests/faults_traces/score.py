"""How good the detectors are: precision and recall for each cause, and the mean of their F1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One action: what was planted in it ("" for nothing) and what was found."""

    planted: str
    found: frozenset[str]
    trace_id: str = ""


@dataclass(frozen=True)
class Score:
    code: str
    hits: int
    misses: int
    false: int

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + self.false) if self.hits + self.false else 0.0

    @property
    def recall(self) -> float:
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def scores(cases: list[Case]) -> list[Score]:
    """One score for each planted cause, and for each that was found without being planted."""
    codes = sorted(
        {case.planted for case in cases if case.planted} | {c for case in cases for c in case.found}
    )
    return [
        Score(
            code,
            hits=sum(case.planted == code and code in case.found for case in cases),
            misses=sum(case.planted == code and code not in case.found for case in cases),
            false=sum(case.planted != code and code in case.found for case in cases),
        )
        for code in codes
    ]


def macro_f1(found: list[Score]) -> float:
    return sum(one.f1 for one in found) / len(found)


def table(found: list[Score]) -> str:
    lines = [f"{'cause':<22}{'hits':>6}{'missed':>8}{'false':>7}{'precision':>11}{'recall':>8}{'F1':>7}"]
    lines += [
        f"{o.code:<22}{o.hits:>6}{o.misses:>8}{o.false:>7}{o.precision:>11.3f}{o.recall:>8.3f}{o.f1:>7.3f}"
        for o in found
    ]
    return "\n".join([*lines, f"macro-F1 {macro_f1(found):.3f}"])
