"""A real ingest process to trace into, on the database Django reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ingest.conftest import INGEST_KEY, Server, add_key, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ("http",)


@pytest.fixture
def store_url(database_url: str) -> str:
    """The test's database with one key that may ingest and read."""
    add_key(database_url, INGEST_KEY, "ingest read")
    return database_url


@pytest.fixture
def server(store_url: str, data_dir: Path) -> Iterator[Server]:
    """A running ingest process."""
    one = Server(store_url, data_dir)
    try:
        yield one.start()
    finally:
        one.stop()
