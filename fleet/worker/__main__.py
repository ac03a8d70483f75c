"""Serve one pool: `python -m fleet.worker --pool EMAIL --port 8101`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

from contract.registry import GRAPHS
from fleet.worker.config import ConfigError, read_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.graph_spec import GraphSpec


def main(argv: Sequence[str] | None = None, specs: Sequence[GraphSpec] = GRAPHS) -> int:
    """Serve one pool's graphs among `specs` until a signal; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fleet.worker", description="Run the graphs of one pool.")
    pools = sorted({spec.pool for spec in specs})
    parser.add_argument("--pool", required=True, type=str.upper, choices=pools)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument(
        "--timeout-graceful-shutdown", type=int, default=20, help="seconds that runs have to end at a stop"
    )
    options = parser.parse_args(argv)
    level = os.environ.get("LOG_LEVEL") or "INFO"
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = read_config(options.pool, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # All that is imported and compiled from here on stays, so collections would only walk through it.
    gc.disable()  # until `settle_memory`
    from fleet.worker.server import serve

    return serve(config, specs, options.host, options.port, options.timeout_graceful_shutdown)


if __name__ == "__main__":
    sys.exit(main())
