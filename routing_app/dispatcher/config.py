"""Settings of the dispatcher, read once from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY = 10 * 1024 * 1024
DRAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class DispatcherConfig:
    """Everything the dispatcher is told at start; the routing document says the rest."""

    #: libpq URL; empty means: live from the copies on disk alone.
    database_url: str
    #: Holds `live/` (last good document and keys) and `spool/` (dispatch records the database did not take).
    data_dir: Path
    #: Where pool secrets are looked up by the name the routing document gives.
    environ: Mapping[str, str] = field(repr=False, default_factory=dict)
    #: Largest request body, bytes.
    max_body: int = MAX_BODY
    #: Longest a caller may take to send its body, seconds.
    body_timeout_s: float = 30.0
    #: How long a stop waits for runs in flight, seconds.
    drain_s: float = DRAIN_S
    #: `/ok` stays 503 at first start until every pool answered or this passed, seconds.
    settle_s: float = 60.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> DispatcherConfig:
        return cls(
            database_url=environ.get("DATABASE_URL", ""),
            data_dir=Path(environ.get("PLATFORM_DATA_DIR") or ".data"),
            environ=environ,
            max_body=int(environ.get("DISPATCHER_MAX_BODY") or MAX_BODY),
            drain_s=float(environ.get("DISPATCHER_DRAIN_S") or DRAIN_S),
        )


def current() -> DispatcherConfig:
    return DispatcherConfig.from_env(os.environ)
