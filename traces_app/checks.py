"""What `manage.py check --database default` says of the trace store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import Error, connections

from traces_app.store import partitions

if TYPE_CHECKING:
    from collections.abc import Sequence


@register(Tags.database)
def partition_for_tomorrow(
    app_configs: Any, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """W001: ingest makes a missing day itself, but at the cost of the first request after midnight."""
    if not databases or "default" not in databases:
        return []
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    try:
        with connections["default"].cursor() as cursor:
            ready = tomorrow in partitions.days(cursor)
    except Error:
        return []  # not migrated yet, or away: other checks say so
    hint = "Run `manage.py make_partitions`, and see that the jobs process is running."
    return [] if ready else [Warning(f"no partition for {tomorrow}", hint=hint, id="traces_app.W001")]
