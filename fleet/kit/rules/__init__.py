"""What the offline model knows: one pure rule per task, facts in, answer out (in the prompt's schema)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Rule = Callable[[dict[str, Any]], dict[str, Any]]


def rule_for(task: str) -> Rule | None:
    return _rules().get(task)


@lru_cache(maxsize=1)
def _rules() -> Mapping[str, Rule]:
    from fleet.kit.rules import (
        companies,
        desk,
        github,
        hunts,
        labels,
        leads,
        letters,
        linkedin,
        openings,
        operator,
        people,
        replies,
        signals,
        studies,
        texts,
    )

    rooms = (
        letters,
        openings,
        companies,
        desk,
        github,
        hunts,
        labels,
        replies,
        leads,
        linkedin,
        operator,
        people,
        signals,
        studies,
        texts,
    )
    return {task: rule for room in rooms for task, rule in room.RULES.items()}
