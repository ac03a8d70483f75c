"""System checks, run by `manage.py check --database default` and at migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence


@register(Tags.database)
def routing(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Drift as warnings, an id in two enabled pools as an error; nothing before the tables are there."""
    from routing_app.selectors import current_drift

    if not databases:
        return []
    try:
        found = current_drift()
    except DatabaseError:
        return []
    return [
        Error(item.message, hint=item.remedy, id="routing_app.E001")
        if item.kind == "allowlisted_twice"
        else Warning(item.message, hint=item.remedy, id="registry_app.W001")
        for item in found
    ]
