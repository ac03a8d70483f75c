"""Restarts under load: replicas one after the other, and the dispatcher itself with a stream open. No run is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from platform_site.drill.stage import free_ports
from registry_app.keyring import KeyRing
from tests.dispatcher.conftest import KEY, SECRETS, document, graph, key, route, site, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dispatcher.conftest import Site

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parents[2]
NOT_PASSED = ("LANGSMITH", "LANGCHAIN", "OTEL", "DATABASE_URL", "PLATFORM")
START_S = 90.0


class Process:
    """A server process on a port of its own that can be ended gracefully and started again."""

    def __init__(self, port: int, command: tuple[str, ...], **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = (*command, "--port", str(port))
        passed = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED)}
        self._environment = {**passed, **SECRETS, "LOG_LEVEL": "ERROR", **environment}

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, cwd=ROOT, env=self._environment
        )
        async with asyncio.timeout(START_S), httpx.AsyncClient(timeout=5) as http:
            while not await self._answers(http):  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.1)

    async def _answers(self, http: httpx.AsyncClient) -> bool:
        assert self.process.returncode is None
        try:
            return (await http.get(f"{self.url}/ok")).status_code == 200
        except httpx.TransportError:
            return False

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.ask_to_stop()
        async with asyncio.timeout(60):
            await self.process.wait()


@asynccontextmanager
async def replicas(count: int) -> AsyncIterator[list[Process]]:
    worker = ("-m", "fleet.worker", "--pool", "EMAIL")
    made = [Process(port, worker) for port in free_ports(count)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(one.start() for one in made))
        for one in made:
            stack.push_async_callback(one.end)
        yield made


async def call_steadily(front: Site, stop: asyncio.Event, answers: list[httpx.Response]) -> None:
    body = {"assistant_id": "probe_email", "input": {"x": 1, "sleep": 0.2}}
    while not stop.is_set():
        answers.append(await front.http.post("/runs/wait", json=body))
        await asyncio.sleep(0.02)


async def more(answers: list[httpx.Response]) -> None:
    wanted = len(answers) + 12
    await until(lambda: len(answers) >= wanted, 60)


async def test_replicas_restarted_one_by_one_under_load_lose_no_run(data_dir: Path) -> None:
    async with replicas(2) as made, site(data_dir, total_timeout_s=60) as front:
        front.publish(version=2, email_urls=[one.url for one in made])
        stop, answers = asyncio.Event(), list[httpx.Response]()
        callers = [asyncio.create_task(call_steadily(front, stop, answers)) for _ in range(6)]
        await more(answers)
        for one in made:
            await one.end()
            await more(answers)  # the other one carries on
            await one.start()
        await more(answers)
        stop.set()
        await asyncio.gather(*callers)
    failed = [answer.text for answer in answers if answer.status_code != 200 or answer.json().get("x") != 2]
    assert failed == []


async def test_a_stopping_dispatcher_lets_open_streams_end(data_dir: Path) -> None:
    async with replicas(1) as [worker]:
        live = data_dir / "live"
        live.mkdir()
        written = document(
            [route("EMAIL", [worker.url], ["probe_email"])],
            route("CORE", [worker.url], []),
            {"probe_email": graph("EMAIL")},
        )
        (live / "routing.json").write_text(json.dumps(written))
        (live / "keys.json").write_bytes(KeyRing((key(KEY, "*"),)).to_json())
        command = ("-m", "uvicorn", "routing_app.dispatcher.main:app", "--log-level", "error")
        [port] = free_ports(1)
        front = Process(port, command, PLATFORM_DATA_DIR=str(data_dir))
        await front.start()
        body = {"assistant_id": "probe_email", "input": {"x": 1, "sleep": 2}, "stream_mode": "values"}
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            httpx.AsyncClient(timeout=30) as http,
            http.stream("POST", f"{front.url}/runs/stream", json=body, headers=headers) as stream,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: metadata"
            front.ask_to_stop()
            rest = [line async for line in lines]
        assert any('"x":2' in line for line in rest)
        assert not any(line == "event: error" for line in rest)
        await front.end()
        assert front.process.returncode is not None
