"""A real ingest process on real PostgreSQL, and keys for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTITIONED = ("traces_app_runpart", "traces_app_chunk", "traces_app_attachment")
INGEST_KEY = "ask_test_" + "i" * 40


def wait_until(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true answer of `what`; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout} s")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class Server:
    """One ingest process; `kill` and `start` again at the same port."""

    database_url: str
    data_dir: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def langsmith(self) -> str:
        return f"{self.url}/langsmith"

    def start(self) -> Server:
        env = {**os.environ, "DATABASE_URL": self.database_url, "PLATFORM_DATA_DIR": str(self.data_dir)}
        command = [sys.executable, "-m", "uvicorn", "traces_app.ingest.main:app", "--log-level", "warning"]
        self.process = subprocess.Popen([*command, "--port", str(self.port)], env=env)
        wait_until(self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "ingest died at its start"
        try:
            return httpx.get(f"{self.langsmith}/info", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)


@pytest.fixture
def store_url(database_url: str) -> Iterator[str]:
    """The test's database with an empty trace store and one key that may ingest and read."""
    from registry_app.services import ensure_api_key

    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("TRUNCATE " + ", ".join(PARTITIONED))
    ensure_api_key(INGEST_KEY, name="test", scopes=("ingest", "read"))
    yield database_url
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("TRUNCATE " + ", ".join(PARTITIONED))


@pytest.fixture
def server(store_url: str, data_dir: Path) -> Iterator[Server]:
    """A running ingest process."""
    one = Server(store_url, data_dir)
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client that sends the key."""
    with httpx.Client(base_url=server.url, headers={"x-api-key": INGEST_KEY}, timeout=30) as client:
        yield client


@pytest.fixture
def cur(store_url: str) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor on the store, outside of Django."""
    with psycopg.connect(store_url, autocommit=True) as conn, conn.cursor() as cursor:
        yield cursor
