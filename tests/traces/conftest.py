"""A real ingest process to trace into."""

from __future__ import annotations

from tests.ingest.conftest import http, server, store_url

__all__ = ("http", "server", "store_url")
