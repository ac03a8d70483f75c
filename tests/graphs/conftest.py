"""Loopback services that speak the true wire shapes, and an environment that names them."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Asked:
    """One request as the service saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Loopback:
    """A real HTTP server on 127.0.0.1 whose `answer` returns (status, headers, body)."""

    answer: Callable[[Asked], tuple[int, dict[str, str], Any]]
    base_url: str = ""
    asked: list[Asked] = field(default_factory=list)


@pytest.fixture
def loopback() -> Iterator[Callable[..., Loopback]]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(answer: Callable[[Asked], tuple[int, dict[str, str], Any]]) -> Loopback:
        service = Loopback(answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        service.base_url = f"http://127.0.0.1:{server.server_port}"
        return service

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(
                self.command, url.path, dict(parse_qsl(url.query)), headers, json.loads(raw) if raw else None
            )
            service.asked.append(asked)
            status, extra, body = service.answer(asked)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **extra}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if status != 204:
                with suppress(BrokenPipeError):  # the caller may have given up by now
                    self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    return Handler


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model, no key, and every source at a closed port: what a machine without network has."""
    for name in (
        "LLM_MODEL",
        "LLM_BASE_URL",
        "LLM_API_KEY",
        "LLM_API_KEY_FILE",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "BRAVE_API_KEY",
        "YOUTUBE_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("GITHUB_API_URL", "BRAVE_API_URL", "YOUTUBE_API_URL", "ASHBY_API_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def completion(content: str, *, prompt_tokens: int = 100, completion_tokens: int = 20) -> dict[str, Any]:
    """A chat completion as OpenAI sends it."""
    return {
        "id": "chatcmpl-9x",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "small-1-2026-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


@pytest.fixture
def model(loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loopback]:
    """`model(first, second, …)`: an OpenAI-compatible endpoint that gives these answers in turn, the last for ever."""

    def start(*answers: dict[str, Any] | str) -> Loopback:
        texts = [answer if isinstance(answer, str) else json.dumps(answer) for answer in answers]

        def answer(asked: Asked) -> tuple[int, dict[str, str], Any]:
            assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
            return 200, {}, completion(texts[min(len(service.asked), len(texts)) - 1])

        service = loopback(answer)
        monkeypatch.setenv("LLM_MODEL", "openai:small-1")
        monkeypatch.setenv("LLM_BASE_URL", f"{service.base_url}/v1")
        monkeypatch.setenv("LLM_API_KEY", "sk-loopback-secret")
        return service

    return start
