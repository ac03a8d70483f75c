"""Serve one pool: `python -m fleet.worker --pool EMAIL --port 8101`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

import uvicorn

from contract.registry import GRAPHS
from fleet.worker.app import build_app
from fleet.worker.config import ConfigError, read_config

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from starlette.applications import Starlette

    from contract.graph_spec import GraphSpec

# Longer than any client keeps an idle connection, so that no call meets a closing one.
_KEEP_ALIVE_S = 75
_DRAIN_S = 20
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


def main(argv: Sequence[str] | None = None, specs: Sequence[GraphSpec] = GRAPHS) -> int:
    """Serve one pool's graphs among `specs` until a signal; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fleet.worker", description="Run the graphs of one pool.")
    pools = sorted({spec.pool for spec in specs})
    parser.add_argument("--pool", required=True, type=str.upper, choices=pools)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", required=True, type=int)
    options = parser.parse_args(argv)
    level = os.environ.get("LOG_LEVEL") or "INFO"
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = read_config(options.pool, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    app = build_app(config, specs)
    settings = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Server(app, settings)
    server.run()
    return 0 if server.started else _START_FAILED


if __name__ == "__main__":
    sys.exit(main())
