"""The ASGI application of one pool."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from fleet.worker import routes_meta, routes_runs
from fleet.worker.compile import compile_pool
from fleet.worker.errors import Refused
from fleet.worker.http import PoolSecret, json_answer, refusal
from fleet.worker.live import LiveRuns
from fleet.worker.service import Service
from fleet.worker.watchdog import LoopWatchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from contract.graph_spec import GraphSpec
    from fleet.worker.config import WorkerConfig

log = logging.getLogger("fleet.worker")


def build_app(config: WorkerConfig, specs: Iterable[GraphSpec]) -> Starlette:
    """Return the application that serves the graphs of `config.pool` among `specs`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service = start_service(config, specs)
        app.state.service = service
        watching = asyncio.create_task(service.watchdog.watch())
        try:
            yield
        finally:
            watching.cancel()
            await service.live.stop()
            await asyncio.to_thread(flush_tracers)

    return Starlette(
        routes=_routes(),
        lifespan=lifespan,
        middleware=[Middleware(PoolSecret, secret=config.secret)],
        exception_handlers=_HANDLERS,
    )


def start_service(config: WorkerConfig, specs: Iterable[GraphSpec]) -> Service:
    """Compile the pool's graphs and return the service over them."""
    began = time.perf_counter()
    catalogue = compile_pool(config.pool, specs)
    compile_ms = (time.perf_counter() - began) * 1000
    log.info(
        "pool %s serves %d graphs, compiled in %.0f ms", config.pool, len(catalogue.compiled), compile_ms
    )
    return Service(
        config=config,
        catalogue=catalogue,
        live=LiveRuns(config.max_concurrent_runs, config.max_waiting_runs),
        watchdog=LoopWatchdog(config.blocked_loop_exit),
        compile_ms=compile_ms,
    )


def flush_tracers() -> None:
    """Send what the LangSmith client still holds, where one was made."""
    tracer = sys.modules.get("langchain_core.tracers.langchain")
    if tracer is not None:
        tracer.wait_for_all_tracers()


def _routes() -> list[Route]:
    return [
        Route("/runs/wait", routes_runs.wait_stateless, methods=["POST"]),
        Route("/runs/stream", routes_runs.stream_stateless, methods=["POST"]),
        Route("/", routes_meta.ok, methods=["GET"]),
        Route("/ok", routes_meta.ok, methods=["GET"]),
        Route("/info", routes_meta.info, methods=["GET"]),
        Route("/_ml/health", routes_meta.health, methods=["GET"]),
        Route("/_ml/graphs", routes_meta.graphs, methods=["GET"]),
    ]


async def _refused(_: Request, error: Refused) -> Response:
    return refusal(error)


async def _http_error(_: Request, error: HTTPException) -> Response:
    return json_answer({"detail": error.detail}, error.status_code, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return json_answer({"detail": "Internal Server Error"}, 500)


_HANDLERS: dict[Any, Any] = {Refused: _refused, HTTPException: _http_error, Exception: _failed}
