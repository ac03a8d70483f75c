"""Settings of the ingest process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Where the store is and how much one process takes at a time."""

    database_url: str
    data_dir: Path = Path(".data")
    #: Bytes of one request before and after inflation.
    max_body: int = 24 * _MIB
    max_inflated: int = 64 * _MIB
    #: Bytes of all requests that are held at once; above it senders are told to come back.
    max_in_flight: int = 96 * _MIB
    #: Project of runs and spans that name none.
    default_project: str = "default"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> IngestConfig:
        """Read `DATABASE_URL` and `PLATFORM_DATA_DIR`."""
        return cls(
            database_url=env.get("DATABASE_URL", ""),
            data_dir=Path(env.get("PLATFORM_DATA_DIR") or ".data"),
        )
