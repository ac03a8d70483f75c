"""Axes of time: where on the line a moment lies, and which round ticks to write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: Room kept free at the right, in per cent, so that the last bar never touches the duration.
GUTTER = 6.0
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis of `seconds` from `start`, drawn over 100 % less the gutter."""

    start: datetime
    seconds: float

    def at(self, moment: datetime, shift_ms: float = 0.0) -> float:
        """Position of a moment in per cent, held inside the drawing."""
        offset = (moment - self.start).total_seconds() + shift_ms / 1000
        return min(max(self.of(offset), 0.0), 100.0)

    def of(self, seconds: float) -> float:
        """Position of an offset from the start in per cent."""
        return seconds / self.seconds * (100.0 - GUTTER)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """(per cent, label) of four to six round ticks, zero among them."""
        step = tick_step(self.seconds)
        count = int(self.seconds / step + 1e-9)
        return tuple((self.of(step * n), tick_label(step * n, step)) for n in range(count + 1))


def tick_step(seconds: float) -> float:
    """The smallest round step (1, 2 or 5 times a power of ten) that needs at most six ticks with zero."""
    power = 10.0 ** math.floor(math.log10(seconds / 10))
    while True:
        for factor in _STEPS:
            if seconds / (factor * power) < 5.999:
                return factor * power
        power *= 10


def tick_label(seconds: float, step: float) -> str:
    """`0`, `200 ms`, `2 s`, `1.5 s`, `20 m`: the unit follows the step."""
    if seconds == 0:
        return "0"
    for size, unit in ((3600.0, "h"), (60.0, "m"), (1.0, "s")):
        if step >= size:
            return f"{seconds / size:.3g} {unit}"
    if step >= 0.1 and seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.3g} ms" if step >= 1e-6 else f"{seconds:.1e} s"
