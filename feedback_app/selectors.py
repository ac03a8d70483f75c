"""Reads of feedback, by run and as roll-ups."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from feedback_app.models import Feedback

if TYPE_CHECKING:
    from collections.abc import Iterable


def for_runs(run_ids: Iterable[str]) -> dict[str, list[Feedback]]:
    """Run id → its ratings that stand, newest first; runs without any are left out."""
    rows = (
        Feedback.objects.filter(run_id__in=list(run_ids), retracted_at=None)
        .prefetch_related("deliveries")
        .order_by("-created_at", "pk")
    )
    found: dict[str, list[Feedback]] = defaultdict(list)
    for row in rows:
        found[str(row.run_id)].append(row)
    return dict(found)
