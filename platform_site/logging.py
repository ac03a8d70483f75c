"""How every web process and command logs: one handler on standard error, ids on each line, no secrets."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_site.env import Environment


def config(env: Environment) -> dict[str, Any]:
    """A `logging.config.dictConfig` document; uvicorn's and Django's loggers end in the same handler."""
    formatter = "JsonFormatter" if env.log_format == "json" else "TextFormatter"
    quiet = {"level": "WARNING", "handlers": [], "propagate": True}
    plain = {"level": env.log_level, "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"platform_site.lib.logs.{formatter}", "hide": secrets_of(env)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": env.log_level, "handlers": ["stderr"]},
        "loggers": {
            "django": plain,
            "django.server": quiet,
            "procrastinate": quiet,
            "httpx": quiet,
            "axes": quiet,
            "uvicorn": plain,
            "uvicorn.error": plain,
            "uvicorn.access": quiet,  # the middleware and the dispatcher log requests, with their ids
        },
    }


def secrets_of(env: Environment) -> tuple[str, ...]:
    """Values that must not appear in a line: the secret variables and the pools' secrets."""
    own = [str(getattr(env, item.name)) for item in fields(env) if item.metadata["secret"]]
    pools = [value for name, value in os.environ.items() if name.endswith(("_WORKER_SECRET", "_API_KEY"))]
    return tuple(value for value in own + pools if value)
