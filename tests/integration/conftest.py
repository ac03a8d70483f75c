"""The whole platform as `make up` starts it: real processes, an own data folder, free ports."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator  # noqa: TC003 fixtures are read at run time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_site import pg
from tests.integration import asking_pool

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "integration-" + "k" * 32
PASSWORD = "integration-" + "p" * 20


@dataclass(frozen=True)
class Platform:
    """A running platform and how to reach it."""

    url: str
    data_dir: Path
    log: Path

    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A signed-in session that posts forms as a browser does."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=30) as client:
            client.get("/admin/login/").raise_for_status()
            form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": self.token(client)}
            done = client.post("/admin/login/?next=/", data=form, headers={"Referer": f"{self.url}/"})
            assert done.status_code == 200, done.text
            assert any(name.startswith("sessionid") for name in client.cookies), "login refused"
            yield client

    @staticmethod
    def token(client: httpx.Client) -> str:
        return next(value for name, value in client.cookies.items() if name.startswith("csrftoken"))


def eventually(look: Callable[[], Any], *, within: float = 60.0) -> Any:
    """The first truthy answer of `look`; an assertion error with the last one when none came in time."""
    deadline = time.monotonic() + within
    answer = look()
    while not answer:
        assert time.monotonic() < deadline, f"still {answer!r} after {within} s"
        time.sleep(0.2)
        answer = look()
    return answer


async def eventually_async(look: Callable[[], Awaitable[Any]], *, within: float = 30.0) -> Any:
    """As `eventually`, for what is looked at asynchronously."""
    deadline = time.monotonic() + within
    while not (answer := await look()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within} s"
        await asyncio.sleep(0.1)
    return answer


def whole_tree(platform: Platform, any_id: str, *, pools: int = 1) -> Any:
    """The tree of an action once its pools' runs are in it and nothing is missing."""

    def look() -> Any:
        answer = api.get(f"/api/traces/{any_id}/tree")
        if answer.status_code != 200:
            return None
        tree = answer.json()
        there = sum(node["kind"] == "pool" for node in tree["nodes"])
        return tree if tree["state"] == "complete" and there >= pools else None

    with platform.api() as api:
        return eventually(look, within=60)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    # Not pytest's own folder: it closes that to the database's user again whenever another run starts.
    with tempfile.TemporaryDirectory(prefix="agentic-sales-") as folder:
        yield from serve(Path(folder) / "data")


def serve(data_dir: Path) -> Iterator[Platform]:
    port = free_port()
    log = data_dir.parent / "up.log"
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environ |= {
        "PORT": str(port),
        "PLATFORM_DATA_DIR": str(data_dir),
        "PLATFORM_API_KEY": KEY,
        "PLATFORM_ADMIN_PASSWORD": PASSWORD,
        "ASKING_WORKER_SECRET": asking_pool.SECRET,
    }
    with log.open("w") as out:
        runner = subprocess.Popen(
            [sys.executable, "-m", "platform_site.up", "--with-parent"],
            cwd=REPOSITORY,
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    platform = Platform(f"http://127.0.0.1:{port}", data_dir, log)
    try:
        eventually(lambda: is_ready(platform, runner), within=180)
        yield platform
    finally:
        runner.send_signal(signal.SIGTERM)
        runner.wait(timeout=60)
        pg.stop(data_dir)


def is_ready(platform: Platform, runner: subprocess.Popen[bytes]) -> bool:
    assert runner.poll() is None, f"the runner ended:\n{platform.log.read_text()[-4000:]}"
    return answers(f"{platform.url}/ok")


@pytest.fixture(scope="session")
def asking(platform: Platform) -> Iterator[None]:
    """The pool ASKING beside the platform: registered by its address, published while calls go on."""
    environ = dict(os.environ) | {
        "DATABASE_URL": pg.url_for(platform.data_dir),
        "PLATFORM_DATA_DIR": str(platform.data_dir),
        "ASKING_WORKER_SECRET": asking_pool.SECRET,
    }
    own = [sys.executable, "-m", "tests.integration.asking_pool"]
    subprocess.run([*own, "register"], cwd=REPOSITORY, env=environ, check=True)
    port = free_port()
    with (platform.data_dir.parent / "asking.log").open("w") as out:
        worker = subprocess.Popen(
            [*own, "--pool", asking_pool.POOL, "--port", str(port)],
            cwd=REPOSITORY,
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/ok"))
        publish_pool(platform, asking_pool.POOL, port, [spec.assistant_id for spec in asking_pool.SPECS])
        with platform.api() as api:
            run = {"assistant_id": "steps", "input": {"x": 1}}
            eventually(lambda: api.post("/runs/wait", json=run).status_code == 200, within=10)
        yield
    finally:
        worker.terminate()
        worker.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def publish_pool(
    platform: Platform, slug: str, port: int, assistants: list[str], *, secret: bool = True
) -> None:
    """Register a pool by its address, as an operator does, and make it live."""
    with platform.api() as api:
        pool = {
            "base_urls": [f"http://127.0.0.1:{port}"],
            "secret_env": f"{slug}_WORKER_SECRET" if secret else "",
            "position": 5,
        }
        api.put(f"/api/routing/pools/{slug}", json=pool).raise_for_status()
        api.put(f"/api/routing/pools/{slug}/allowlist", json={"assistants": assistants}).raise_for_status()
        version = api.get("/routing.json").raise_for_status().json()["version"]
        done = api.post("/api/routing/publish", json={"reason": f"add {slug}", "base_version": version})
        assert done.status_code == 200, done.text
