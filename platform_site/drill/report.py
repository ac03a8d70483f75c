"""What a drill found, as plain values: figures of the victims-to-be beside a calm run, a verdict, a text. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A victim's p99 may grow this many times over the calm run's, or to this many ms on a machine that was idle.
TIMES, FLOOR_MS = 4.0, 250.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Steady calls to one pool. Milliseconds, counted from when each call was due, not from when it got out."""

    calls: int
    errors: int
    p50_ms: float
    p99_ms: float
    first_error: str = ""

    @classmethod
    def of(cls, latencies_ms: Iterable[float], problems: Iterable[str]) -> Figures:
        """Figures of answered calls and of calls that failed (one text each)."""
        answered, failed = sorted(latencies_ms), list(problems)
        return cls(
            len(answered) + len(failed),
            len(failed),
            rank(answered, 0.5),
            rank(answered, 0.99),
            failed[0] if failed else "",
        )


def worse(one: Figures, other: Figures) -> Figures:
    """Of two calm runs the one that says less for the machine: neighbours come and go."""
    return max(one, other, key=lambda figures: (figures.errors, figures.p99_ms))


def rank(ordered: list[float], share: float) -> float:
    """The value below which `share` of the ordered values lie (nearest rank); 0 without any."""
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in the flooded pool, and what the others saw meanwhile. `flood` counts its answers by kind."""

    name: str
    how: str
    victims: dict[str, Figures]
    flood: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole drill; `passed` when no victim broke a limit under any fault."""

    pool: str
    role: str
    callers: int
    rate: float
    seconds: float
    load_average: float
    calm: dict[str, Figures]
    faults: tuple[Fault, ...]

    @property
    def passed(self) -> bool:
        calm = all(figures.calls and not figures.errors for figures in self.calm.values())
        return calm and bool(self.faults) and not any(fault.problems for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def judged(fault: Fault, calm: Mapping[str, Figures]) -> Fault:
    """The fault with one sentence for each limit a victim broke."""
    problems = [text for pool, seen in fault.victims.items() for text in _broken(pool, seen, calm[pool])]
    return Fault(fault.name, fault.how, fault.victims, dict(Counter(fault.flood)), tuple(problems))


def _broken(pool: str, seen: Figures, calm: Figures) -> list[str]:
    found = []
    if not seen.calls:
        found.append(f"{pool} got no call through.")
    if seen.errors:
        found.append(f"{seen.errors} of {seen.calls} calls to {pool} failed: {seen.first_error}.")
    limit = max(calm.p99_ms * TIMES, FLOOR_MS)
    if seen.p99_ms > limit:
        found.append(
            f"p99 of {pool} rose from {calm.p99_ms:g} ms to {seen.p99_ms:g} ms; {limit:g} ms is allowed."
        )
    return found


def as_text(report: Report) -> str:
    """The report for a terminal."""
    lines = [
        f"Blast radius of {report.pool}, flooded by {report.callers} callers; the others get {report.rate:g} calls/s"
        f" each for {report.seconds:g} s. Role {report.role}, load average {report.load_average:.1f}.",
        f"{'fault':<12}{'pool':<10}{'calls':>7}{'errors':>8}{'p50 ms':>9}{'p99 ms':>9}   verdict",
    ]
    lines += [_row("none", pool, figures, "the measure") for pool, figures in report.calm.items()]
    for fault in report.faults:
        verdict = "FAIL" if fault.problems else "ok"
        lines += [_row(fault.name, pool, figures, verdict) for pool, figures in fault.victims.items()]
        answers = ", ".join(f"{count} × {kind}" for kind, count in sorted(fault.flood.items()))
        lines.append(f"{'':<12}{report.pool}: {fault.how}; the flood heard {answers or 'nothing'}")
        lines += [f"{'':<12}{problem}" for problem in fault.problems]
    lines.append("passed" if report.passed else "FAILED")
    return "\n".join(lines)


def _row(fault: str, pool: str, seen: Figures, verdict: str) -> str:
    return f"{fault:<12}{pool:<10}{seen.calls:>7}{seen.errors:>8}{seen.p50_ms:>9.1f}{seen.p99_ms:>9.1f}   {verdict}"
