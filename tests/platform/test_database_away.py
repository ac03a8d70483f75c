"""A database that dies is back without a human; until then pages say so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError
from django.test import RequestFactory

from platform_site import pg, up
from platform_site.middleware import database_away


async def test_a_killed_embedded_server_is_back_with_what_was_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(up, "DATABASE_LOOK_S", 0.05)
    with tempfile.TemporaryDirectory(prefix="agentic-sales-") as folder:
        data_dir = Path(folder) / "data"
        url = pg.ensure(data_dir)
        keeper = asyncio.create_task(up.keep_database(data_dir))
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            postmaster = int((data_dir / "pg" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
            async with asyncio.timeout(60):
                while await asyncio.to_thread(_rows, url) != [(1,)]:  # noqa: ASYNC110 nothing announces it
                    await asyncio.sleep(0.05)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            pg.stop(data_dir)


def _rows(url: str) -> list[tuple[int]] | None:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT n FROM kept").fetchall()
    except psycopg.OperationalError:
        return None


@pytest.mark.parametrize("path", ["/traces/", "/api/traces"])
def test_pages_and_the_api_say_that_the_database_is_away(path: str) -> None:
    hook = database_away(lambda request: None).process_exception  # type: ignore[attr-defined]
    answer = hook(RequestFactory().get(path), OperationalError("no answer"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    if path.startswith("/api/"):
        assert json.loads(answer.content)["kind"] == "backend"
    else:
        assert "Calls still run" in answer.content.decode()
    assert hook(RequestFactory().get(path), ValueError("other")) is None
