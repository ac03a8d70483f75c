"""A real job process and an endpoint that records what the real client sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]


def eventually(look: Callable[[], Any], within: float = 60.0) -> Any:
    deadline = time.monotonic() + within
    while not (answer := look()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within} s"
        time.sleep(0.05)
    return answer


@dataclass
class Recorder:
    """A LangSmith-shaped endpoint: notes (method, path, body), answers the statuses it is told to."""

    url: str = ""
    calls: list[tuple[str, str, dict[str, Any], float]] = field(default_factory=list)
    #: Answers to come; 200 when none are left.
    statuses: list[int] = field(default_factory=list)
    #: Cleared: calls are noted and wait for their answer.
    held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.held.set()

    def answer(self, method: str, path: str, raw: bytes) -> int:
        if not path.startswith("/feedback"):
            return 200
        self.calls.append((method, path, json.loads(raw or b"{}"), time.monotonic()))
        self.held.wait(60)
        return self.statuses.pop(0) if self.statuses else 200


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status = recorder.answer(self.command, self.path, raw)
            body = b"{}" if status < 400 else b'{"detail": "not now"}'
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _take

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    yield recorder
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def job_process(database_url: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py jobs`, as `make up` runs it."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DATABASE_URL": database_url, "PLATFORM_DATA_DIR": folder, **environ}
        env["LOG_LEVEL"] = "WARNING"
        command = [sys.executable, "manage.py", "jobs"]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=env)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(30)
