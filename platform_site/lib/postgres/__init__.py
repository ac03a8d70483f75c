"""Django's PostgreSQL with fewer round trips: `ENGINE` of the settings, and a cursor whose statements stay prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.db import connection

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from platform_site.lib.postgres.base import DatabaseWrapper


def prepared_cursor() -> CursorWrapper:
    """A cursor for the few statements of fixed text that are asked at every read: their connection plans them once.

    Values are bound by the server, so a value never shapes the plan: not for statements where a rare one must. Rows
    come in binary, in which times and bytes need no reading.
    """
    return cast("DatabaseWrapper", connection).prepared_cursor()
