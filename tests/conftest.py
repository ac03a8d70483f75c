"""Tests run on real PostgreSQL: `DATABASE_URL` when set, else the embedded server of this checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from platform_site import pg

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest_django

REPOSITORY = Path(__file__).resolve().parent.parent
NOT_IN_TESTS = ("LANGSMITH_TRACING", "LANGSMITH_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "PLATFORM_ENV")

#: Tables that Django does not empty after a test: partitioned by hand, or those of the job queue.
NOT_DJANGOS = (
    "traces_app_runpart",
    "traces_app_chunk",
    "traces_app_attachment",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
)

#: Folders whose tests call one platform of real processes.
SHARE_A_PLATFORM = ("integration",)

for name in NOT_IN_TESTS:
    os.environ.pop(name, None)
os.environ["DATABASE_POOL_SIZE"] = "0"  # a pool would hold test databases open
pg.prepare_environment(os.environ, REPOSITORY / ".data")


def pytest_configure() -> None:
    from django.conf import settings

    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.SERVESTATIC_USE_FINDERS = True
    settings.STATIC_ROOT = None
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test process takes a whole file, and all files that share the running platform: servers start once."""
    for item in items:
        folder = item.path.parent
        group = folder if folder.name in SHARE_A_PLATFORM else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(REPOSITORY))))


@pytest.fixture(autouse=True)
def nothing_is_left(
    request: pytest.FixtureRequest, django_db_blocker: pytest_django.DjangoDbBlocker
) -> Iterator[None]:
    """A test that commits leaves none of the rows that Django's flush does not know."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if {"transactional_db", "live_server"}.isdisjoint(request.fixturenames) and not (
        marker and marker.kwargs.get("transaction")
    ):
        return
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(NOT_DJANGOS)} CASCADE")


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """URL of this test's database, with all migrations; for code and processes that use no Django.

    What is written through Django in the test is committed, and every table is emptied after it.
    """
    from django.db import connection

    settings = connection.settings_dict
    user, password = (quote(str(settings[name] or ""), safe="") for name in ("USER", "PASSWORD"))
    host, port = (quote(str(settings[name] or ""), safe="") for name in ("HOST", "PORT"))
    login = f"{user}:{password}" if password else user
    query = f"host={host}" + (f"&port={port}" if port else "")
    return f"postgresql://{login}@/{quote(str(settings['NAME']), safe='')}?{query}"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder for a component under test, apart from the checkout's own."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder
