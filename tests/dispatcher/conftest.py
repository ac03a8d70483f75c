"""A dispatcher under a real uvicorn, in front of real small pools, live from a document on disk."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from contract.routing_document import digest
from contract.shapes import SHAPES
from fleet.kit.door import Door
from registry_app.keyring import KeyFacts, KeyRing, hash_key
from routing_app.dispatcher.asgi import Dispatcher
from routing_app.dispatcher.config import DispatcherConfig
from tests.dispatcher.upstream import Upstream, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

KEY = "test-key-0123456789-0123456789-0123456789"
UNTRUSTED = "untrusted-key-0123456789-0123456789-0123"
READER = "reader-key-0123456789-0123456789-012345678"
SECRETS = {
    f"{slug}_WORKER_SECRET": f"secret-of-{slug.lower()}"
    for slug in ("CORE", "EMAIL", "CLASSIFY", "DISCOVERY")
}
LIMITS = {"concurrency": 8, "queue": 8, "connect_timeout_s": 1, "idle_timeout_s": 5, "total_timeout_s": 10}
PROBES = {"CORE": "probe_core", "EMAIL": "probe_email"}


def route(slug: str, urls: list[str], assistants: list[str], **limits: float) -> dict[str, Any]:
    return {
        "prefix": slug, "url": urls[0] if urls else "", "urls": urls, "secret_env": f"{slug}_WORKER_SECRET",
        "assistants": sorted(assistants), "limits": LIMITS | limits,
    }  # fmt: skip


def graph(pool: str, **changes: Any) -> dict[str, Any]:
    schema = {key: value for key, value in SHAPES["probe"].items() if key != "$schema"}
    return {
        "pool": pool, "enabled": True, "reason": "", "resumable": True, "input_schema": schema,
        "graph_digest": "a" * 64, "sampling": None, "timeout_s": None,
    } | changes  # fmt: skip


def document(
    routes: list[dict[str, Any]], core: dict[str, Any], graphs: dict[str, Any], version: int = 1
) -> dict[str, Any]:
    body = {
        "schema": 1, "version": version, "digest": "", "published_at": "2026-11-22T00:00:00+00:00",
        "routes": routes, "core": core, "graphs": graphs, "sampling": {"default": 1.0},
    }  # fmt: skip
    return body | {"digest": digest(body)}


def key(raw: str, *scopes: str, **changes: Any) -> KeyFacts:
    return KeyFacts(
        prefix=raw[:8], key_hash=hash_key(raw), name=raw.split("-", 1)[0], scopes=frozenset(scopes), **changes
    )


@dataclass
class Site:
    """One dispatcher and its pools."""

    url: str
    dispatcher: Dispatcher
    core: Upstream
    email: Upstream
    publish: Callable[..., None]
    http: httpx.AsyncClient
    data_dir: Path
    extra: dict[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[str]:
    """`app` under uvicorn on a free port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", log_level="error", loop="asyncio", http=Door
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def site(data_dir: Path, database_url: str = "", **limits: float) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(serving(Upstream()))
        email = await stack.enter_async_context(serving(Upstream()))
        config = DispatcherConfig(
            database_url=database_url,
            data_dir=data_dir,
            environ=SECRETS,
            body_timeout_s=1.0,
            max_body=200_000,
            drain_s=2,
        )
        dispatcher = Dispatcher(config)

        def publish(
            version: int = 1,
            email_urls: list[str] | None = None,
            graphs: dict[str, Any] | None = None,
            extra_routes: list[dict[str, Any]] | None = None,
        ) -> None:
            written = document(
                [route("EMAIL", email_urls or [email.url], ["probe_email"], **limits), *(extra_routes or [])],
                route("CORE", [core.url], ["probe_core"]),
                {"probe_core": graph("CORE"), "probe_email": graph("EMAIL")} | (graphs or {}),
                version,
            )
            dispatcher.live._take(json.dumps(written).encode())

        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        if not database_url:
            dispatcher.live.keyring = KeyRing(
                (key(KEY, "*"), key(UNTRUSTED, "runs", trusted_tracing=False), key(READER, "read"))
            )
        publish()
        url = await stack.enter_async_context(running(dispatcher))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {KEY}"}, timeout=20)
        )
        yield Site(url, dispatcher, core, email, publish, http, data_dir)


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Site]:
    async with site(data_dir) as made:
        yield made


async def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> Any:
    """The first true value of `condition`, polled; fails after `timeout_s`."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, "the condition never came true"
        await asyncio.sleep(0.01)
    return value
