"""Drift as Prometheus reads it: one gauge for each kind, zeros written too, so that an alert can tell none from absent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from registry_app.drift import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_app.drift import Drift

NAME = "registry_drift"


def render(found: Iterable[Drift], live_version: int) -> str:
    """The text exposition format."""
    counts = Counter(item.kind for item in found)
    return "\n".join(
        [
            f"# HELP {NAME} Disagreements between code, records, draft, live routing and pools.",
            f"# TYPE {NAME} gauge",
            *(f'{NAME}{{kind="{kind}"}} {counts[kind]}' for kind in REMEDIES),
            "# HELP routing_published_version Version of the newest published routing document.",
            "# TYPE routing_published_version gauge",
            f"routing_published_version {live_version}",
            "",
        ]
    )
