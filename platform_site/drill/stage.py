"""The processes of a drill: a dispatcher and workers of its own on free ports, so that live traffic is never touched.

With role `all` the dispatcher runs inside the whole web process, over a scratch database that bootstrap fills; with
role `dispatcher` it runs alone, live from a document on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import sql

from contract.registry import GRAPHS
from contract.routing_document import canonical_bytes, digest
from contract.shapes import SHAPES
from platform_site.env import REPOSITORY
from platform_site.runner import die_with_parent
from registry_app.keyring import KeyFacts, KeyRing, hash_key
from routing_app.dispatcher.upstream import Cut, Endpoint, NotReached, Silent

if TYPE_CHECKING:
    from collections.abc import Mapping

POOLS = ("EMAIL", "CLASSIFY", "DISCOVERY")
DOOR = ("--http", "fleet.kit.door:Door", "--no-proxy-headers")
LIMITS = {
    "concurrency": 64, "queue": 128, "connect_timeout_s": 2, "idle_timeout_s": 60, "total_timeout_s": 600,
}  # fmt: skip
READY_S, END_S = 60.0, 5.0
#: What belongs to the live platform and must not reach a drill's processes.
_NOT_PASSED = ("LANGSMITH", "LANGCHAIN", "OTEL", "PLATFORM", "DATABASE")


class StageError(RuntimeError):
    """A process of the drill did not start; the message says which."""


class Child:
    """One process, in a group of its own, that ends with the drill however the drill ends."""

    def __init__(self, name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = command, environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            cwd=REPOSITORY,
            env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    async def finished(self) -> int:
        """The exit code, once the process ended."""
        return await self._process.wait() if self._process else 0

    def signal(self, sign: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)

    async def end(self) -> None:
        """SIGTERM, then SIGKILL for what does not listen."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(END_S):
                await self.finished()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.finished()


class Stage:
    """Dispatcher and workers; `async with Stage(limits) as stage`. `limits` by pool, as the live document has them."""

    def __init__(
        self, limits: Mapping[str, Mapping[str, float]], *, role: str = "dispatcher", server: str = ""
    ) -> None:
        self.role, self.key = role, secrets.token_urlsafe(36)
        self._limits, self._server = limits, server
        self._ports = dict(zip((*POOLS, "web"), free_ports(len(POOLS) + 1), strict=True))
        self._secrets = {f"{pool}_WORKER_SECRET": secrets.token_urlsafe(36) for pool in (*POOLS, "CORE")}
        self._workers: dict[str, Child] = {}
        self._open = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['web']}"

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def _set_up(self) -> None:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="drill-")))
        environment = self._environment(folder)
        if self.role == "all":
            database = self._open.enter_context(scratch_database(self._server))
            environment |= {"DATABASE_URL": database}
            bootstrap = Child("bootstrap", ("manage.py", "bootstrap"), environment)
            await bootstrap.start()
            if await bootstrap.finished():
                raise StageError("the drill's own platform could not be set up; the lines above say why")
        else:
            self._write_live(folder / "live")
        for pool in POOLS:
            await self._start_worker(pool)
        app = "platform_site.asgi:application" if self.role == "all" else "routing_app.dispatcher.main:app"
        command = ("-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(self._ports["web"]), *DOOR)
        await self._started(Child("web", (*command, "--log-level", "error"), environment))
        await asyncio.gather(*(answering(port, name) for name, port in self._ports.items()))

    def _environment(self, folder: Path) -> dict[str, str]:
        passed = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)}
        urls = {f"{pool}_WORKER_URL": f"http://127.0.0.1:{self._ports[pool]}" for pool in POOLS}
        core = {"CORE_WORKER_URL": urls["EMAIL_WORKER_URL"]}  # not called
        own = {
            "PLATFORM_DATA_DIR": str(folder),
            "PLATFORM_API_KEY": self.key,
            "PLATFORM_ROLE": self.role,
            "PORT": str(self._ports["web"]),
            "LOG_LEVEL": "ERROR",
        }
        return passed | self._secrets | urls | core | own

    async def _started(self, child: Child) -> Child:
        await child.start()
        self._open.push_async_callback(child.end)
        return child

    # -- the pool under trouble -----------------------------------------------------------------------------

    async def _start_worker(self, pool: str) -> None:
        command = ("-m", "fleet.worker", "--pool", pool, "--port", str(self._ports[pool]))
        environment = {**os.environ, **self._secrets, "LOG_LEVEL": "CRITICAL"}
        for name in [name for name in environment if name.startswith(_NOT_PASSED)]:
            del environment[name]
        self._workers[pool] = await self._started(Child(pool, command, environment))

    async def restore(self, pool: str) -> None:
        """A fresh worker in the place of whatever is there."""
        await self._workers[pool].kill()
        await self._start_worker(pool)
        await answering(self._ports[pool], pool)

    async def replace(self, pool: str, mode: str) -> None:
        """A stand-in in the place of the worker: `silent` or `failing`."""
        await self._workers[pool].kill()
        port = self._ports[pool]
        command = ("-m", "platform_site.drill.stand_in", "--port", str(port), "--mode", mode)
        self._workers[pool] = await self._started(Child(f"{pool} ({mode})", command, os.environ))
        await listening(port, pool)

    def signal(self, pool: str, sign: int) -> None:
        self._workers[pool].signal(sign)

    # -- live from disk -------------------------------------------------------------------------------------

    def _write_live(self, folder: Path) -> None:
        """The last good document and keys, as a dispatcher finds them when the database is away."""
        document: dict[str, Any] = {
            "schema": 1, "version": 1, "digest": "", "published_at": "2026-01-01T00:00:00+00:00",
            "routes": [self._route(pool) for pool in POOLS], "core": self._route("CORE"),
            "graphs": {spec.assistant_id: _graph(spec.pool) for spec in _canaries()}, "sampling": {"default": 1.0},
        }  # fmt: skip
        document["digest"] = digest(document)
        folder.mkdir()
        (folder / "routing.json").write_bytes(canonical_bytes(document))
        key = KeyFacts(hash_key(self.key), self.key[:8], "drill", frozenset({"runs"}))
        (folder / "keys.json").write_bytes(KeyRing([key]).to_json())

    def _route(self, pool: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports.get(pool, self._ports['EMAIL'])}"  # CORE is not called
        return {
            "prefix": pool, "url": url, "urls": [url], "secret_env": f"{pool}_WORKER_SECRET",
            "assistants": [spec.assistant_id for spec in _canaries() if spec.pool == pool],
            "limits": {**LIMITS, **self._limits.get(pool, {})},
        }  # fmt: skip


def _canaries() -> list[Any]:
    return [spec for spec in GRAPHS if spec.assistant_id == f"probe_{spec.pool.lower()}"]


def _graph(pool: str) -> dict[str, Any]:
    return {
        "pool": pool, "enabled": True, "reason": "", "resumable": True, "input_schema": SHAPES["probe"],
        "graph_digest": "", "sampling": None, "timeout_s": None,
    }  # fmt: skip


@contextlib.contextmanager
def scratch_database(server: str) -> Any:
    """URL of an empty database on the server of `server`, dropped at the end."""
    name = f"drill_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        head, mark, query = server.partition("?")
        yield f"{head.rpartition('/')[0]}/{name}{mark}{query}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def free_ports(count: int) -> list[int]:
    """Ports nothing listens on, all held at once so that no two are the same."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


async def answering(port: int, name: str) -> None:
    """Wait until `/ok` answers 200; raises StageError after a minute."""
    endpoint = Endpoint(f"http://127.0.0.1:{port}")
    with _patience(name):
        async with asyncio.timeout(READY_S):
            while await _status(endpoint) != 200:  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.1)
    endpoint.close()


async def listening(port: int, name: str) -> None:
    endpoint = Endpoint(f"http://127.0.0.1:{port}")
    with _patience(name):
        async with asyncio.timeout(READY_S):
            while True:
                with contextlib.suppress(NotReached):
                    (await endpoint.connection(1.0)).abort()
                    return
                await asyncio.sleep(0.05)


async def _status(endpoint: Endpoint) -> int:
    try:
        connection = await endpoint.connection(1.0)
        try:
            await connection.begin(b"GET /ok HTTP/1.1\r\nhost: drill\r\n\r\n", b"", idle_s=2.0)
            while await connection.read():
                pass
            return connection.status
        finally:
            connection.release()
    except (NotReached, Silent, Cut):
        return 0


@contextlib.contextmanager
def _patience(name: str) -> Any:
    try:
        yield
    except TimeoutError:
        raise StageError(f"{name} of the drill did not answer in {READY_S:g} s") from None
