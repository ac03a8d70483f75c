"""The whole platform as real processes, and ways to kill each of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from platform_site import pg
from tests.integration.conftest import KEY, PASSWORD, REPOSITORY, eventually, free_port

JOBS = ("manage.py", "jobs")
#: Name of a target → words of its command line.
CHILDREN = {
    "web": ("uvicorn", "platform_site.asgi:application"),
    "jobs": JOBS,
    "pool EMAIL": ("fleet.worker", "EMAIL"),
    "pool CLASSIFY": ("fleet.worker", "CLASSIFY"),
}


#: Kept beside what the runner keeps: name → the child whose environment it gets, and its command line.
EXTRAS = {
    "dispatcher": ("web", ["-m", "uvicorn", "platform_site.asgi:application", "--no-access-log"]),
    "second jobs": ("jobs", ["manage.py", "jobs"]),
}


class Fire:
    """A platform of its own; what is killed is counted and comes back.

    Beside the runner's processes there is a second job process, whose graphs run through a dispatcher of their own.
    """

    def __init__(self, data_dir: Path, port: int, environ: dict[str, str]) -> None:
        self.url, self.data_dir = f"http://127.0.0.1:{port}", data_dir
        self.log = data_dir.parent / "up.log"
        self.kills: Counter[str] = Counter()
        self._api = httpx.Client(timeout=20)
        self._ending = threading.Event()
        base = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        own = {
            "PORT": str(port),
            "PLATFORM_DATA_DIR": str(data_dir),
            "PLATFORM_API_KEY": KEY,
            "PLATFORM_ADMIN_PASSWORD": PASSWORD,
            "LANGSMITH_TRACING": "false",
        }
        self._out = self.log.open("w")
        self.up = subprocess.Popen(
            [sys.executable, "-m", "platform_site.up", "--with-parent"],
            cwd=REPOSITORY,
            env={**base, **own, **environ},
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )
        self._extras: dict[str, subprocess.Popen[bytes]] = {}
        self._own_port = free_port()
        self._keeper = threading.Thread(target=self._keep_extras, daemon=True)

    def wait_until_ready(self, *, extras: bool = True) -> None:
        eventually(self._ready, within=180)
        if extras:
            self._keeper.start()

    def _ready(self) -> bool:
        assert self.up.poll() is None, f"the runner ended:\n{self.log.read_text()[-4_000:]}"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/ok", timeout=5).status_code == 200
        return False

    def _keep_extras(self) -> None:
        """Start what is kept beside the runner's own again whenever it dies."""
        port = str(self._own_port)
        own = {
            "dispatcher": {"PLATFORM_ROLE": "dispatcher"},
            "second jobs": {"PLATFORM_URL": f"http://127.0.0.1:{port}"},
        }
        words = {"dispatcher": ["--host", "127.0.0.1", "--port", port], "second jobs": []}
        while not self._ending.is_set():
            for name, (like, command) in EXTRAS.items():
                if name in self._extras and self._extras[name].poll() is None:
                    continue
                if environ := self._environ_of(like):
                    self._extras[name] = subprocess.Popen(
                        [sys.executable, *command, *words[name]],
                        cwd=REPOSITORY,
                        env={**environ, **own[name]},
                        stdout=self._out,
                        stderr=subprocess.STDOUT,
                    )
            self._ending.wait(0.3)

    def _environ_of(self, child: str) -> dict[str, str]:
        """The environment the runner gave a child; empty while there is none."""
        for pid in self.children(CHILDREN[child]):
            with contextlib.suppress(OSError):  # it died while we looked
                raw = Path(f"/proc/{pid}/environ").read_bytes().decode()
                environ = dict(each.split("=", 1) for each in raw.split("\0") if "=" in each)
                if "DATABASE_URL" in environ:
                    return environ
        return {}

    def children(self, words: tuple[str, ...]) -> list[int]:
        """Pids of the runner's children whose command line holds the words."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if parent == self.up.pid and all(any(word in each for each in line) for word in words):
                    found.append(int(folder.name))
        return found

    # ── kills ──

    def kill(self, target: str) -> None:
        """SIGKILL one target now; nothing when it is not there at this moment."""
        if target == "postgres":
            self._kill_postgres()
        elif target in EXTRAS:
            self._kill(target, [self._extras[target].pid] if target in self._extras else [])
        else:
            self._kill(target, self.children(CHILDREN[target]))

    def kill_job_processes(self) -> None:
        self.kill("jobs")
        self.kill("second jobs")

    def _kill(self, target: str, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills[target] += 1

    def _kill_postgres(self) -> None:
        file = next(self.data_dir.rglob("postmaster.pid"))
        self._kill("postgres", [int(file.read_text().split()[0])])
        pg.ensure(self.data_dir)

    # ── calls that outlive an outage ──

    def call(self, method: str, path: str, *, within: float = 120.0, **request: Any) -> Any:
        """One call of the API, repeated until the platform answers it: every write of ours may be repeated."""
        headers = {"Authorization": f"Bearer {KEY}", **request.pop("headers", {})}
        deadline = time.monotonic() + within
        while True:
            try:
                answer = self._api.request(method, self.url + path, headers=headers, **request)
                if answer.status_code < 500:
                    assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
                    return answer.json()
                problem = f"{answer.status_code} {answer.text[:300]}"
            except httpx.TransportError as error:
                problem = repr(error)
            assert time.monotonic() < deadline, f"{method} {path}: {problem}\n{self.log.read_text()[-4_000:]}"
            time.sleep(0.3)

    def end(self) -> None:
        self._ending.set()
        self._api.close()
        if self._keeper.is_alive():
            self._keeper.join()
        for extra in self._extras.values():
            extra.terminate()
            extra.wait(timeout=30)
        self.up.send_signal(signal.SIGTERM)
        self.up.wait(timeout=60)
        self._out.close()
        pg.stop(self.data_dir)
