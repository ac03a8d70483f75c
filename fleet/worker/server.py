"""The HTTP server of one worker process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvicorn

from fleet.kit.door import Door
from fleet.worker.app import build_app

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from starlette.applications import Starlette

    from contract.graph_spec import GraphSpec
    from fleet.worker.config import WorkerConfig

# Longer than any client keeps an idle connection, so that no call meets a closing one.
_KEEP_ALIVE_S = 75
# Longer than it takes a busy dispatcher to come by once, shorter than its breaker sets a replica aside.
_LEAVE_S = 0.5
_START_FAILED = 3


class _Server(uvicorn.Server):
    """Says that it leaves before it closes its door: a request must not meet a connection that is closing."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.leaving = True
        await asyncio.sleep(_LEAVE_S)
        await super().shutdown(sockets)


def serve(config: WorkerConfig, specs: Sequence[GraphSpec], host: str, port: int, drain_s: int) -> int:
    """Serve until a signal, and then for as long as runs take to end, `drain_s` at most; return the exit code."""
    app = build_app(config, specs)
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        http=Door,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
    )
    server = _Server(app, settings)
    server.run()
    return 0 if server.started else _START_FAILED
