"""The whole platform as `make up` starts it: real processes, an own data folder, free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator  # noqa: TC003 fixtures are read at run time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_site import pg

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

    def browser(self) -> httpx.Client:
        """A signed-in session that posts forms as a browser does."""
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=30)
        login = client.get("/admin/login/")
        login.raise_for_status()
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": self.token(client)}
        done = client.post("/admin/login/?next=/", data=form, headers={"Referer": f"{self.url}/"})
        assert done.status_code == 200, done.text
        assert any(name.startswith("sessionid") for name in client.cookies), "login refused"
        return client

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
    try:
        return httpx.get(f"{platform.url}/ok", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
