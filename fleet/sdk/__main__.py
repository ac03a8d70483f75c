"""Run a graph from the terminal: `python -m fleet.sdk run probe_email '{"x": 1}'`."""

from __future__ import annotations

import argparse
import json
import sys

from contract.errors import LangGraphError
from fleet.sdk.client import DEFAULT_TIMEOUT_S, stream_graph


def main(argv: list[str] | None = None) -> int:
    """Stream one run to standard output; return 0, 1 when the run failed, 2 for a bad call."""
    parser = argparse.ArgumentParser(prog="python -m fleet.sdk", description="Run graphs of the fleet.")
    run = parser.add_subparsers(dest="command", required=True).add_parser(
        "run", help="run a graph, print its events"
    )
    run.add_argument("assistant")
    run.add_argument("input", nargs="?", default="{}", help="the input as JSON")
    run.add_argument("--mode", action="append", help="stream mode, may be repeated (updates)")
    run.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT_S, help="seconds")
    options = parser.parse_args(argv)
    try:
        values = json.loads(options.input)
    except ValueError as error:
        sys.stderr.write(f"the input is not JSON: {error}\n")
        return 2
    try:
        events = stream_graph(
            options.assistant, values, stream_mode=options.mode or ["updates"], timeout=options.timeout
        )
        for event in events:
            sys.stdout.write(f"{event.event}: {json.dumps(event.data, ensure_ascii=False)}\n")
            sys.stdout.flush()
    except LangGraphError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
