"""Writes of breaker holds: an operator's word over the breaker of one replica, which dispatchers follow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils import timezone

from registry_app.audit import acting
from routing_app.models import BreakerHold
from routing_app.services.publish import live_revision

if TYPE_CHECKING:
    from registry_app.audit import Actor

#: A hold always ends by itself: what was right in an incident is wrong when it is forgotten.
LONGEST_MINUTES = 24 * 60


def hold_breaker(*, actor: Actor, pool: str, url: str, state: str, minutes: int, reason: str) -> BreakerHold:
    """Hold a live replica's breaker open or closed; replaces an earlier hold. Raises ValidationError naming the field."""
    _check(pool, url, state, minutes, reason)
    with acting(actor, reason):
        BreakerHold.objects.filter(until__lt=timezone.now()).delete()
        hold, _ = BreakerHold.objects.update_or_create(
            pool=pool,
            url=url,
            defaults={
                "state": state,
                "reason": reason.strip(),
                "held_by": actor.name,
                "until": timezone.now() + timedelta(minutes=minutes),
            },
        )
    return hold


def release_breaker(*, actor: Actor, pool: str, url: str) -> bool:
    """Let the breaker judge for itself again; False when nothing held it."""
    with acting(actor, "breaker released"):
        return bool(BreakerHold.objects.filter(pool=pool, url=url).delete()[0])


def live_replicas() -> dict[str, tuple[str, ...]]:
    """The addresses of each pool as they are live, in the order of the routes; CORE, which takes the rest, last."""
    live = live_revision()
    if live is None:
        return {}
    return {
        route["prefix"]: tuple(route["urls"]) for route in [*live.document["routes"], live.document["core"]]
    }


def _check(pool: str, url: str, state: str, minutes: int, reason: str) -> None:
    replicas = live_replicas()
    if pool not in replicas:
        raise ValidationError({"pool": f"No pool {pool[:100]!r} is live."})
    if url not in replicas[pool]:
        raise ValidationError({"url": f"{pool} has no live replica at this address."})
    if state not in dict(BreakerHold.STATES):
        raise ValidationError({"state": "Choose open or closed."})
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise ValidationError({"minutes": f"Between 1 and {LONGEST_MINUTES:,} minutes."})
    if not reason.strip() or len(reason) > 500:
        raise ValidationError({"reason": "Say why, in at most 500 characters."})
