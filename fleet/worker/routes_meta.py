"""Health, version, and what this worker attests of itself."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from fleet.worker.http import json_answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fleet.worker.service import Service


async def ok(_: Request) -> Response:
    return json_answer({"ok": True, "services": {}})


async def info(request: Request) -> Response:
    service: Service = request.app.state.service
    return json_answer(
        {
            "version": version("langgraph"),
            "langgraph_py_version": version("langgraph"),
            "python_version": platform.python_version(),
            "flags": {
                "assistants": True,
                "crons": False,
                "langsmith": False,
                "langsmith_tracing_replicas": False,
            },
            "host": {"kind": "self-hosted", "pool": service.config.pool},
        }
    )


async def health(request: Request) -> Response:
    service: Service = request.app.state.service
    return json_answer({"ok": True, **service.report()})


async def graphs(request: Request) -> Response:
    service: Service = request.app.state.service
    return json_answer({"pool": service.config.pool, "graphs": service.catalogue.report()})
