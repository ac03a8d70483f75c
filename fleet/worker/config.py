"""What a worker is told by its environment, read once at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(ValueError):
    """A setting is missing or malformed; the message names the variable."""


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Settings of one worker process. Times in seconds, sizes in bytes."""

    pool: str
    secret: str = field(repr=False)
    database_url: str = field(default="", repr=False)
    max_concurrent_runs: int = 64
    max_waiting_runs: int = 256
    background_runs: int = 8
    max_body_bytes: int = 4 * 1024 * 1024
    run_timeout: float = 600.0
    blocked_loop_exit: float = 60.0


def read_config(pool: str, env: Mapping[str, str]) -> WorkerConfig:
    """Read the settings of pool `pool`.

    Raises:
        ConfigError: The pool's secret is unset, or a number is malformed.
    """
    slug = pool.upper()
    secret = env.get(f"{slug}_WORKER_SECRET", "")
    if not secret:
        raise ConfigError(
            f"{slug}_WORKER_SECRET is not set: a worker answers only calls that carry its pool's secret"
        )
    return WorkerConfig(
        pool=slug,
        secret=secret,
        database_url=env.get("DATABASE_URL", ""),
        max_concurrent_runs=_whole(env, "WORKER_MAX_CONCURRENT_RUNS", WorkerConfig.max_concurrent_runs),
        max_waiting_runs=_whole(env, "WORKER_MAX_WAITING_RUNS", WorkerConfig.max_waiting_runs),
        background_runs=_whole(env, "WORKER_BACKGROUND_RUNS", WorkerConfig.background_runs),
        max_body_bytes=_whole(env, "WORKER_MAX_BODY_BYTES", WorkerConfig.max_body_bytes),
        run_timeout=_seconds(env, "WORKER_RUN_TIMEOUT_S", WorkerConfig.run_timeout),
        blocked_loop_exit=_seconds(env, "WORKER_BLOCKED_LOOP_EXIT_S", WorkerConfig.blocked_loop_exit),
    )


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    raw = env.get(name, "")
    if not raw:
        return default
    if not raw.isdigit() or int(raw) == 0:
        raise ConfigError(f"{name} must be a whole number above 0, got {raw!r}")
    return int(raw)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    raw = env.get(name, "")
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e7:
        raise ConfigError(f"{name} must be a number of seconds above 0, got {raw!r}")
    return value
