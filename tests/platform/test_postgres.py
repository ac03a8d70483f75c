"""What the database backend adds to Django's: connections that are looked at, statements that stay prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from platform_site.lib.postgres import prepared_cursor
from platform_site.lib.postgres.base import DatabaseWrapper

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWS = "SELECT query FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def pooled(database_url: str) -> Iterator[DatabaseWrapper]:
    """A pool of one connection on the test's database."""
    settings = connection.settings_dict
    options = {**settings["OPTIONS"], "pool": {"min_size": 0, "max_size": 1, "timeout": 30}}
    wrapper = DatabaseWrapper({**settings, "OPTIONS": options}, alias="pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()  # type: ignore[attr-defined] # which the stubs do not know


def asked(wrapper: DatabaseWrapper) -> int:
    """The process that serves a request, which uses a connection and gives it back."""
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    wrapper.close()
    return int(pid)


def test_a_connection_whose_server_is_gone_is_not_handed_out(pooled: DatabaseWrapper) -> None:
    first = asked(pooled)
    assert asked(pooled) == first, "one that stands is used again"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
        assert cursor.fetchone() == (True,), "it has ended"
    assert asked(pooled) != first


def test_a_connection_that_stands_is_asked_nothing_before_its_use(pooled: DatabaseWrapper) -> None:
    pid = asked(pooled)
    pooled.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute(NEWS, [pid])
        assert cursor.fetchone() == ("SELECT pg_backend_pid()",), "the last that it was asked"


def test_a_statement_stays_prepared_and_is_counted_like_any(db: None) -> None:
    with CaptureQueriesContext(connection) as queries, prepared_cursor() as cursor:
        for n in (1, 2, 3):
            cursor.execute("SELECT %s + 1 AS kept_for_this_test", [n])
            assert cursor.fetchone() == (n + 1,)
    assert len(queries) == 3
    with connection.cursor() as plain:
        plain.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements"
            " WHERE statement LIKE 'SELECT $1 + 1 AS kept_for_this_test'"
        )
        (used,) = plain.fetchone()
    assert used >= 2, "planned once and used again"
