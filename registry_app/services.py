"""Writes of the registry: keys, and what operators set on a graph."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from registry_app.audit import Actor, acting
from registry_app.keyring import MAX_KEY, hash_key
from registry_app.models import SCOPES, ApiKey, GraphRecord, PoolReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

MIN_KEY = 32
#: What operators may set on a graph; everything else is the code's.
OPERATIONAL_FIELDS = ("enabled", "disabled_reason", "notes", "timeout_s", "sampling")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; `raw` is the only copy there will ever be."""

    key: ApiKey
    raw: str = field(repr=False)


def create_api_key(
    *,
    name: str,
    scopes: Iterable[str],
    actor: Actor,
    project: str = "",
    trusted_tracing: bool = True,
    expires_at: datetime | None = None,
    raw: str | None = None,
) -> IssuedKey:
    """Issue a key. Raises ValidationError naming the field."""
    raw = raw if raw is not None else f"ask_{secrets.token_urlsafe(32)}"
    if not MIN_KEY <= len(raw) <= MAX_KEY or not raw.isprintable():
        raise ValidationError({"raw": f"A key is {MIN_KEY} to {MAX_KEY} printable characters."})
    key = ApiKey(
        name=name,
        prefix=raw[:8],
        key_hash=hash_key(raw),
        scopes=sorted(set(scopes)),
        project=project,
        trusted_tracing=trusted_tracing,
        expires_at=expires_at,
        created_by=actor.name,
    )
    _check_key(key)
    with acting(actor):
        key.save(force_insert=True)
    return IssuedKey(key, raw)


def ensure_api_key(
    raw: str, *, name: str = "bootstrap", scopes: Iterable[str] = ("*",), actor: Actor | None = None
) -> ApiKey:
    """The key with this value and these scopes, issued when there is none; a revoked one stays revoked."""
    by = actor or Actor.command("bootstrap")
    found = ApiKey.objects.filter(key_hash=hash_key(raw)).first()
    if found is None:
        return create_api_key(name=name, scopes=scopes, raw=raw, actor=by).key
    if set(found.scopes) != set(wanted := list(scopes)):
        with acting(by, "scopes of this version"):
            found.scopes = wanted
            found.save(update_fields=["scopes"])
    return found


def revoke_api_key(key: ApiKey, *, actor: Actor, reason: str = "") -> ApiKey:
    """Revoke for good; a second time changes nothing."""
    with acting(actor, reason):
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is None:
            locked.revoked_at = timezone.now()
            locked.save(update_fields=["revoked_at"])
    return locked


def update_graph(
    *, assistant_id: str, changes: Mapping[str, Any], actor: Actor, reason: str = ""
) -> GraphRecord:
    """Set operational fields. Raises GraphRecord.DoesNotExist, or ValidationError naming the field."""
    for name in changes:
        if name not in OPERATIONAL_FIELDS:
            raise ValidationError({name: "This field belongs to the code."})
    with acting(actor, reason):
        record = GraphRecord.objects.select_for_update().get(pk=assistant_id)
        for name, value in changes.items():
            setattr(record, name, value)
        record.full_clean(validate_unique=False)
        record.save(update_fields=list(changes) or None)
    return record


def record_pool_report(*, pool: str, url: str, graphs: Mapping[str, str], error: str = "") -> PoolReport:
    """Keep what a replica said; the newest report replaces the one before."""
    report, _ = PoolReport.objects.update_or_create(
        pool=pool,
        url=url,
        defaults={
            "reported_at": timezone.now(),
            "ok": not error,
            "error": error[:500],
            "graphs": dict(graphs),
        },
    )
    return report


def _check_key(key: ApiKey) -> None:
    unknown = sorted(set(key.scopes) - set(SCOPES) - {"*"})
    if unknown:
        raise ValidationError({"scopes": f"Unknown: {', '.join(unknown)}. Known: {', '.join(SCOPES)}, *."})
    if not key.scopes:
        raise ValidationError({"scopes": "Give at least one."})
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is in the past."})
    key.full_clean()
