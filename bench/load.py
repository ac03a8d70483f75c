"""What the benches of the data plane share: child processes, their CPU and memory, and a client that costs little."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


# -- processes ------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def untraced() -> dict[str, str]:
    """The environment without what would trace the measured runs."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("LANGSMITH", "OTEL"))}


@contextmanager
def process(
    *command: str, env: Mapping[str, str] | None = None, quiet: bool = False, cwd: Path = ROOT
) -> Iterator[int]:
    """A child process; its pid. Ended with its group."""
    out = subprocess.DEVNULL if quiet else None
    child = subprocess.Popen(command, env=env, cwd=cwd, start_new_session=True, stdout=out, stderr=out)
    try:
        yield child.pid
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def wait_ready(port: int, path: str = "/ok", seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
                if b" 200 " in connection.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise SystemExit(f"nothing answers on port {port}")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def rss_mb(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def fixed_loop() -> int:
    """The same work each time. Timed beside what is measured it tells the state of a shared machine: 1.25 ms at best, here up to 4."""
    made = {str(one): (one, one + 1.5) for one in range(6_000)}
    return sum(map(len, made))


# -- the load -------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """What one measurement saw."""

    latencies: list[float] = field(default_factory=list)
    bad: int = 0


class _Client(asyncio.Protocol):
    """One connection that sends the next request as soon as the last was answered."""

    def __init__(self, load: Load, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.load, self.request, self.until, self.done = load, request, until, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.failed = False
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.failed = self.failed or b'"__error__"' in body

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.load.latencies.append(now - self.sent_at)
        self.load.bad += self.failed or self.parser.get_status_code() != 200
        if now < self.until:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server closed the connection: {exc}"))


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """One POST of JSON as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    lines += [
        "content-type: application/json",
        "accept: */*",
        "user-agent: bench",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def drive(port: int, requests: list[bytes], seconds: float) -> Load:
    """Send each of `requests` again and again on a connection of its own."""
    load, until = Load(), time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    dones: list[asyncio.Future[None]] = [loop.create_future() for _ in requests]
    for request, done in zip(requests, dones, strict=True):
        await loop.create_connection(partial(_Client, load, request, until, done), "127.0.0.1", port)
    await asyncio.gather(*dones)
    return load
