"""A small LangGraph-shaped pool for the dispatcher's tests: a real server on a real port, told how to behave.

Speaks the wire shapes of a LangGraph server (chunked `wait` with keep-alive newlines, CRLF SSE,
`Content-Location`), records what reached it, and can fail in the ways pools fail.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """`behave` is read per request: ok, status:<n>, refuse (runs), hang, die, die_midway, slow."""

    behave: str = "ok"
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    cancelled: int = 0
    threads: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/ok":
            return web.json_response({"ok": True})
        body = await request.read()
        self.seen.append(Seen(request.method, request.path_qs, dict(request.headers), body))
        try:
            return await self._misbehave(request, body)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def _misbehave(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.behave.startswith("status:"):
            return web.json_response({"detail": "upstream says no"}, status=int(self.behave[7:]))
        if self.behave == "refuse" and request.method == "POST" and "/runs" in request.path:
            return web.json_response({"detail": "not this run"}, status=422)
        if self.behave == "leave":
            headers = {"x-agentic-not-begun": "leaving", "connection": "close"}
            return web.json_response({"detail": "This worker is stopping."}, status=503, headers=headers)
        if self.behave == "hang":
            await asyncio.sleep(3600)
        if self.behave == "die":
            return self._cut(request)
        return await self._serve(request, body)

    def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _serve(self, request: web.Request, body: bytes) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[-1] == "wait":
            return await self._wait(request, json.loads(body), self._thread_of(parts))
        if parts[-1] == "stream" and request.method == "POST":
            return await self._stream(request, json.loads(body), self._thread_of(parts))
        if parts[-1] == "runs" and request.method == "POST":
            return self._create(request, json.loads(body), self._thread_of(parts))
        if parts[-1] == "batch":
            made = [self._note(item, str(uuid.uuid4()), "pending") for item in json.loads(body)]
            return web.json_response(made)
        if parts[0] == "threads":
            return self._threads(request, parts, json.loads(body) if body else {})
        if parts[0] == "runs" and parts[-1] == "cancel":
            return (
                web.Response(status=202)
                if self.runs
                else web.json_response({"detail": "No runs found to cancel."}, status=404)
            )
        if parts[0] == "assistants":
            return self._assistants(request, parts)
        return web.json_response({"path": request.path_qs})

    @staticmethod
    def _thread_of(parts: list[str]) -> str | None:
        return parts[1] if parts[0] == "threads" else None

    def _note(self, body: dict[str, Any], thread: str | None, status: str) -> dict[str, Any]:
        run_id = str(uuid.uuid4())
        run = {"run_id": run_id, "thread_id": thread, "assistant_id": body["assistant_id"], "status": status}
        self.runs[run_id] = run
        if thread in self.threads:
            self.threads[thread]["values"] = body.get("input")
        return run

    async def _wait(
        self, request: web.Request, body: dict[str, Any], thread: str | None
    ) -> web.StreamResponse:
        run = self._note(body, thread or str(uuid.uuid4()), "success")
        location = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
        response = web.StreamResponse(
            headers={
                "content-type": "application/json", "Content-Location": location,
                "Location": f"{self.url}{location}/join", "x-agentic-graph-digest": "d" * 64, "x-agentic-pool": "EMAIL",
            }
        )  # fmt: skip
        response.enable_chunked_encoding()
        await response.prepare(request)
        if self.behave in ("slow", "die_midway"):
            for _ in range(3):
                await response.write(b"\n")
                await asyncio.sleep(0.05)
        if self.behave == "die_midway":
            await response.write(b'{"half":')
            return self._cut(request)
        given = body.get("input") or {}
        if given.get("fail"):
            await response.write(b'{"__error__":{"error":"ValueError","message":"asked to fail"}}')
        else:
            await response.write(json.dumps({"x": given.get("x", 0) + 1}).encode())
        await response.write_eof()
        return response

    async def _stream(
        self, request: web.Request, body: dict[str, Any], thread: str | None
    ) -> web.StreamResponse:
        run = self._note(body, thread, "success")
        location = f"/threads/{thread}/runs/{run['run_id']}" if thread else f"/runs/{run['run_id']}"
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store",
                "x-accel-buffering": "no", "Content-Location": location, "Location": f"{location}/stream",
            }
        )  # fmt: skip
        await response.prepare(request)
        await response.write(_event("metadata", {"run_id": run["run_id"], "attempt": 1}))
        if self.behave == "slow":
            await response.write(b": heartbeat\r\n\r\n")
            await asyncio.sleep(0.3)
        await response.write(_event("values", body.get("input") or {}))
        if self.behave == "die_midway":
            await response.write(b"event: values\r\ndata: {")
            await asyncio.sleep(0.05)
            return self._cut(request)
        if (body.get("input") or {}).get("fail"):
            await response.write(_event("error", {"error": "ValueError", "message": "asked to fail"}))
        await response.write_eof()
        return response

    def _create(self, request: web.Request, body: dict[str, Any], thread: str | None) -> web.Response:
        run = self._note(body, thread or str(uuid.uuid4()), "pending")
        location = f"/threads/{thread}/runs/{run['run_id']}" if thread else f"/runs/{run['run_id']}"
        return web.json_response(run, headers={"Content-Location": location})

    def _threads(self, request: web.Request, parts: list[str], body: dict[str, Any]) -> web.Response:
        if len(parts) == 1:
            thread = body.get("thread_id") or str(uuid.uuid4())
            self.threads.setdefault(
                thread,
                {
                    "thread_id": thread,
                    "metadata": body.get("metadata") or {},
                    "status": "idle",
                    "values": None,
                },
            )
            return web.json_response(self.threads[thread])
        if "runs" in parts:
            return self._thread_runs(request, parts)
        thread = parts[1]
        if thread not in self.threads:
            return web.json_response({"detail": f"Thread with ID {thread} not found"}, status=404)
        if len(parts) == 2 and request.method == "DELETE":
            del self.threads[thread]
            return web.Response(status=204)
        if parts[-1] == "state":
            return web.json_response({"values": self.threads[thread]["values"], "next": []})
        if parts[-1] == "history":
            return web.json_response([{"values": self.threads[thread]["values"]}])
        return web.json_response(self.threads[thread])

    def _thread_runs(self, request: web.Request, parts: list[str]) -> web.Response:
        if parts[-1] == "runs":
            return web.json_response([run for run in self.runs.values() if run["thread_id"] == parts[1]])
        run = self.runs.get(parts[3])
        if run is None:
            return web.json_response({"detail": "Run not found"}, status=404)
        if parts[-1] == "join":
            return web.json_response({"joined": True})
        if parts[-1] == "cancel":
            return web.Response(status=202)
        return web.json_response(run)

    def _assistants(self, request: web.Request, parts: list[str]) -> web.Response:
        return web.json_response({"asked": request.path, "graph_id": parts[1]})


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


@asynccontextmanager
async def serving(upstream: Upstream, port: int = 0) -> AsyncIterator[Upstream]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", upstream.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()
