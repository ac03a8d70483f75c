"""A real ingest process on real PostgreSQL, and keys for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from registry_app.keyring import hash_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTITIONED = ("traces_app_runpart", "traces_app_chunk", "traces_app_attachment")
EMPTIED = (
    *PARTITIONED,
    "traces_app_tracehead",
    "traces_app_rollup",
    "traces_app_quarantine",
    "traces_app_spancopy",
    "traces_app_link",
    "traces_app_redactionrule",
    "feedback_app_feedbackevent",
    "feedback_app_feedback",
)
INGEST_KEY = "ask_test_" + "i" * 40
CONFINED_KEY = "ask_test_" + "c" * 40
READ_KEY = "ask_test_" + "r" * 40
#: (key, scopes, the only project it may touch)
KEYS = ((INGEST_KEY, "ingest read", ""), (CONFINED_KEY, "ingest read", "confined"), (READ_KEY, "read", ""))


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


def run_sql(url: str, *statements: str) -> None:
    """Run each statement on a connection of its own making."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


@pytest.fixture(scope="session")
def store_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """URL of a database of these tests' own: a copy of the migrated one, with a key that may ingest and read."""
    from django.db import connection

    with django_db_blocker.unblock():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined] # of PostgreSQL's
    given = connection.settings_dict
    name = f"{given['NAME']}_store"
    host, port = quote(str(given["HOST"]), safe=""), given["PORT"]
    login = f"{given['USER']}:{quote(given['PASSWORD'], safe='')}" if given["PASSWORD"] else given["USER"]
    query = f"host={host}" + (f"&port={port}" if port else "")
    admin, url = (f"postgresql://{login}@/{quote(db, safe='')}?{query}" for db in ("postgres", name))
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    run_sql(admin, drop, f'CREATE DATABASE "{name}" TEMPLATE "{given["NAME"]}"')
    for key, scopes, project in KEYS:
        add_key(url, key, scopes, project)
    yield url
    run_sql(admin, drop)


def add_key(url: str, key: str, scopes: str, project: str = "") -> None:
    """Store a key as the registry does: its hash."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO registry_app_apikey (prefix, key_hash, name, scopes, project, trusted_tracing, created_at, created_by)"
            " VALUES (%s, %s, %s, %s, %s, true, now(), '')",
            (key[:8], hash_key(key), f"test {scopes} {project}", scopes.split(), project),
        )


@pytest.fixture
def store_url(db: None, store_database: str) -> str:
    """The store, empty. Projects stay: a running ingest knows which it made. (`db` has the first copy migrated.)"""
    run_sql(store_database, *(f"DELETE FROM {table}" for table in EMPTIED))
    return store_database


@pytest.fixture(scope="session")
def shared_server(store_database: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        one = Server(store_database, Path(folder))
        try:
            yield one.start()
        finally:
            one.stop()


@pytest.fixture
def server(store_url: str, shared_server: Server) -> Server:
    """The ingest process all tests share, before an empty store."""
    return shared_server


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
