"""How often each model was right on a graph's labelled examples, as `python -m tests.evals.runner --record` left it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("evaluations.json")
#: The one model that is none: rules written by hand, which answer where no LLM is configured.
RULES = "offline-rules"


@dataclass(frozen=True, slots=True)
class Count:
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        return round(self.right / self.total, 3)

    @property
    def percent(self) -> int:
        """Never rounded up to all."""
        return 100 * self.right // self.total


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one graph's examples."""

    model: str
    llm: bool
    #: Examples that nobody looked at while the rules were written, and those that were looked at.
    held_out: Count | None
    tuned: Count | None


def evaluations_of(assistant_id: str) -> tuple[Evaluation, ...]:
    """Every model measured on this graph, by name; none for a graph whose answers nobody labelled."""
    return tuple(
        Evaluation(
            model, model != RULES, _count(counts["by_split"], "held_out"), _count(counts["by_split"], "tuned")
        )
        for model, counts in sorted(_recorded().get(assistant_id, {}).items())
    )


def _count(by_split: dict[str, dict[str, int]], split: str) -> Count | None:
    return Count(by_split[split]["right"], by_split[split]["total"]) if split in by_split else None


@cache
def _recorded() -> dict[str, dict[str, Any]]:
    recorded: dict[str, dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return recorded
