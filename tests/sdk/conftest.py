"""The SDK against a real worker: it speaks to a pool as it speaks to the platform, one key, one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.worker.conftest import SECRET, Server, start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_worker(tmp_path_factory.mktemp("pool") / "log")
    yield server
    server.stop()


@pytest.fixture
def platform(pool: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PLATFORM_URL", pool.url)
    monkeypatch.setenv("PLATFORM_API_KEY", SECRET)
    return pool.url
