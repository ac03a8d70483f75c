"""The ASGI application of one pool."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from fleet.sdk import tracing
from fleet.worker import routes_assistants as assistants
from fleet.worker import routes_linkedin, routes_meta, routes_runs
from fleet.worker import routes_thread_runs as thread_runs
from fleet.worker import routes_threads as threads
from fleet.worker.compile import compile_pool
from fleet.worker.errors import Refused
from fleet.worker.http import HotRoutes, Leaving, PoolSecret, json_answer, refusal
from fleet.worker.live import LiveRuns
from fleet.worker.refused import RefusedCalls
from fleet.worker.service import Service
from fleet.worker.watchdog import LoopWatchdog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from contract.graph_spec import GraphSpec
    from fleet.worker.config import WorkerConfig

log = logging.getLogger("fleet.worker")
_COLLECT_AFTER = 5_000
_HOT = {"/runs/wait": routes_runs.wait_stateless, "/runs/stream": routes_runs.stream_stateless}


def build_app(config: WorkerConfig, specs: Iterable[GraphSpec]) -> Starlette:
    """Return the application that serves the graphs of `config.pool` among `specs`."""

    refused = RefusedCalls()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        service = start_service(config, specs, refused)
        app.state.service = service
        settle_memory()
        async with tended(service.watchdog.watch()), with_threads(service):
            yield
        await asyncio.to_thread(tracing.flush)

    made = Starlette(
        routes=_routes(config.pool),
        lifespan=lifespan,
        middleware=[
            Middleware(Leaving),
            Middleware(PoolSecret, secret=config.secret, refused=refused),
            Middleware(HotRoutes, handlers=_HOT),
        ],
        exception_handlers=_HANDLERS,
    )
    made.state.leaving = False
    return made


def start_service(config: WorkerConfig, specs: Iterable[GraphSpec], refused: RefusedCalls) -> Service:
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
        refused=refused,
        compile_ms=compile_ms,
    )


def settle_memory() -> None:
    """Leave what stays for ever out of garbage collections, which then cost a tenth of each run less."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    gc.enable()


@asynccontextmanager
async def with_threads(service: Service) -> AsyncGenerator[None]:
    """Serve threads and background runs while the block runs, when there is a database."""
    config = service.config
    if not config.database_url:
        yield
        await service.live.stop()
        return
    from fleet.worker.database import Database
    from fleet.worker.jobs import JobQueue, keep_up
    from fleet.worker.store import Store
    from fleet.worker.threaded import ThreadedRuns

    database = Database(config.database_url, config.pool)
    threaded = ThreadedRuns(service, Store(database))
    queue = JobQueue(config.database_url, config.pool, threaded.run_background)
    service.attach(threaded, queue)
    await database.open()
    try:
        async with tended(queue.work(config.background_runs)), tended(keep_up(service)):
            yield
    finally:
        await service.live.stop()  # after the queue, which hands its own runs over
        await database.close()


@asynccontextmanager
async def tended(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` beside the block, end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _routes(pool: str) -> list[Route]:
    return [
        *(routes_linkedin.ROUTES if pool == "CORE" else ()),
        Route("/runs/wait", routes_runs.wait_stateless, methods=["POST"]),
        Route("/runs/stream", routes_runs.stream_stateless, methods=["POST"]),
        *_thread_routes(),
        *_assistant_routes(),
        Route("/", routes_meta.ok, methods=["GET"]),
        Route("/ok", routes_meta.ok, methods=["GET"]),
        Route("/info", routes_meta.info, methods=["GET"]),
        Route("/_ml/health", routes_meta.health, methods=["GET"]),
        Route("/_ml/graphs", routes_meta.graphs, methods=["GET"]),
    ]


def _thread_routes() -> list[Route]:
    one, runs = "/threads/{thread_id}", "/threads/{thread_id}/runs"
    a_run = runs + "/{run_id}"
    return [
        Route("/runs", thread_runs.create_stateless, methods=["POST"]),
        Route("/runs/batch", thread_runs.create_batch, methods=["POST"]),
        Route("/runs/cancel", thread_runs.cancel_many, methods=["POST"]),
        Route("/runs/{run_id}", thread_runs.get, methods=["GET"]),
        Route("/runs/{run_id}/join", thread_runs.join, methods=["GET"]),
        Route("/runs/{run_id}/stream", thread_runs.join_stream, methods=["GET"]),
        Route("/runs/{run_id}/cancel", thread_runs.cancel, methods=["POST"]),
        Route("/threads", threads.create, methods=["POST"]),
        Route("/threads/search", threads.search, methods=["POST"]),
        Route("/threads/count", threads.count, methods=["POST"]),
        Route(one, threads.get, methods=["GET"]),
        Route(one, threads.patch, methods=["PATCH"]),
        Route(one, threads.delete, methods=["DELETE"]),
        Route(one + "/copy", threads.copy, methods=["POST"]),
        Route(one + "/state", threads.state, methods=["GET"]),
        Route(one + "/state", threads.update_state, methods=["POST"]),
        Route(one + "/state/checkpoint", threads.state_at, methods=["POST"]),
        Route(one + "/state/{checkpoint_id}", threads.state, methods=["GET"]),
        Route(one + "/history", threads.history, methods=["GET", "POST"]),
        Route(runs, thread_runs.create, methods=["POST"]),
        Route(runs, thread_runs.list_runs, methods=["GET"]),
        Route(runs + "/wait", thread_runs.wait, methods=["POST"]),
        Route(runs + "/stream", thread_runs.stream, methods=["POST"]),
        Route(a_run, thread_runs.get, methods=["GET"]),
        Route(a_run, thread_runs.delete, methods=["DELETE"]),
        Route(a_run + "/join", thread_runs.join, methods=["GET"]),
        Route(a_run + "/stream", thread_runs.join_stream, methods=["GET"]),
        Route(a_run + "/cancel", thread_runs.cancel, methods=["POST"]),
    ]


def _assistant_routes() -> list[Route]:
    one = "/assistants/{assistant_id}"
    return [
        Route("/assistants/search", assistants.search, methods=["POST"]),
        Route("/assistants/count", assistants.count, methods=["POST"]),
        Route(one, assistants.get, methods=["GET"]),
        Route(one + "/graph", assistants.graph, methods=["GET"]),
        Route(one + "/schemas", assistants.schemas, methods=["GET"]),
        Route(one + "/subgraphs", assistants.subgraphs, methods=["GET"]),
        Route(one + "/subgraphs/{namespace}", assistants.subgraphs, methods=["GET"]),
    ]


async def _refused(_: Request, error: Refused) -> Response:
    return refusal(error)


async def _http_error(_: Request, error: HTTPException) -> Response:
    return json_answer({"detail": error.detail}, error.status_code, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return json_answer({"detail": "Internal Server Error"}, 500)


_HANDLERS: dict[Any, Any] = {Refused: _refused, HTTPException: _http_error, Exception: _failed}
