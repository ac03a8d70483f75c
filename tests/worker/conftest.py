"""Real servers for the same contract: our worker, and LangGraph's own development server."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import httpx
import procrastinate
import psycopg
import pytest
from langgraph_sdk import get_client

from fleet.worker.setup import set_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from langgraph_sdk.client import LangGraphClient

ROOT = Path(__file__).resolve().parents[2]
SECRET = "the secret of the pool under test"
OPEN: list[Callable[[], Awaitable[None]]] = []


@pytest.fixture(autouse=True)
async def close_clients() -> AsyncIterator[None]:
    yield
    while OPEN:
        await OPEN.pop()()
    await asyncio.sleep(0)  # closed transports let go of their sockets in the loop's next turn


@dataclass
class Server:
    """A running server process."""

    kind: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    secret: str = ""
    database_url: str = ""
    unknown_name: ClassVar[int] = 422

    def client(self) -> LangGraphClient:
        """Return an unmodified SDK client; it is closed when the test ends."""
        client = get_client(url=self.url, api_key=self.secret or None)
        OPEN.append(client.aclose)
        return client

    @cached_property
    def _http(self) -> httpx.Client:
        headers = {"x-api-key": self.secret} if self.secret else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def http(self) -> httpx.Client:
        return self._http

    def stop(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self._http.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    """Whether `/ok` answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ok")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start(
    kind: str, command: list[str], env: dict[str, str], log: Path, port: int, cwd: Path = ROOT, **facts: str
) -> Server:
    """Start a server process and wait until it answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{kind} ended with {process.returncode}: {log.read_text()[-2000:]}")
        if answers(port):
            return Server(kind, url, process, log, **facts)
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"{kind} did not answer: {log.read_text()[-2000:]}")


def clean_env(**extra: str) -> dict[str, str]:
    """The environment without tracing and without what belongs to this checkout's own platform."""
    banned = ("LANGSMITH", "LANGCHAIN", "OTEL", "DATABASE_URL", "PLATFORM")
    env = {key: value for key, value in os.environ.items() if not key.startswith(banned)}
    return {**env, "PYTHONPATH": str(ROOT), **extra}


def start_worker(log: Path, database_url: str = "", **extra: str) -> Server:
    """Start a worker of pool EMAIL with the test graphs; without a database when no URL is given."""
    port = free_port()
    env = clean_env(EMAIL_WORKER_SECRET=SECRET, **extra)
    if database_url:
        env["DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "tests.worker.serve", "--pool", "EMAIL", "--port", str(port)]
    return start("worker", command, env, log, port, secret=SECRET, database_url=database_url)


@contextmanager
def own_database() -> Iterator[str]:
    """URL of an empty database that is gone afterwards."""
    admin = os.environ["DATABASE_URL"]
    name = f"worker_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield psycopg.conninfo.make_conninfo(admin, dbname=name)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def set_up_jobs(url: str) -> None:
    jobs = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))
    with jobs.open():
        jobs.schema_manager.apply_schema()


@pytest.fixture(scope="session")
def pool_database() -> Iterator[str]:
    """URL of a database of its own, with the job tables and the workers' schemas."""
    with own_database() as url:
        set_up_jobs(url)
        asyncio.run(set_up(url, ["EMAIL"]))
        yield url


@pytest.fixture(scope="session")
def worker(pool_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Our worker of pool EMAIL, on PostgreSQL."""
    server = start_worker(tmp_path_factory.mktemp("worker") / "log", pool_database)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def langgraph_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An unmodified LangGraph server with the same graphs."""
    folder = tmp_path_factory.mktemp("dev")
    graphs = {name: f"tests.worker.graphs.asking:{name}" for name in ("asking", "steps", "talking")}
    graphs["probe_email"] = "fleet.graphs.email.probe_email:graph"
    headers = {"includes": ["langsmith-trace", "baggage", "x-request-id"]}
    config = {"dependencies": [str(ROOT)], "graphs": graphs, "http": {"configurable_headers": headers}}
    (folder / "langgraph.json").write_text(json.dumps(config))
    port = free_port()
    command = [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload"]
    command += ["--config", str(folder / "langgraph.json"), "--port", str(port), "--n-jobs-per-worker", "8"]
    env = clean_env(LANGGRAPH_DISABLE_FILE_PERSISTENCE="true", LANGSMITH_TRACING="false")
    server = start("langgraph dev", command, env, folder / "log", port)
    yield server
    server.stop()


@pytest.fixture(params=["worker", "langgraph_dev"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the two servers in turn: what holds for one must hold for the other."""
    found: Server = request.getfixturevalue(request.param)
    return found
