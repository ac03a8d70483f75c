"""Which process serves which routing version, since when.

Each process that follows the live document says so in the name of the database connection it listens on, so the map
needs no table, no write and no clean-up: who is gone is off it. Imports no Django: dispatcher and ingest write names.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

#: What PostgreSQL keeps of a connection's name, in bytes; it cuts the rest.
LONGEST = 63
_NAME = re.compile(r"live (\d+) ([\d.]+) (\w+) (\S+)")

#: Names of all connections to this database that serve a version.
SERVED = """
    SELECT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, 'live ')
"""


@dataclass(frozen=True, slots=True)
class Serving:
    """`part` is dispatcher or ingest, `process` its host and pid; version 0 before a first document came."""

    part: str
    process: str
    version: int
    since: datetime


def connection_name(serving: Serving) -> str:
    """The name of a connection that says it."""
    text = f"live {serving.version} {serving.since.timestamp():.3f} {serving.part} {serving.process}"
    return text.encode("ascii", "replace")[:LONGEST].decode()


def read_name(name: str) -> Serving | None:
    """What a connection's name says; None of one that has another shape."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    version, since, part, process = found.groups()
    try:
        return Serving(part, process, int(version), datetime.fromtimestamp(float(since), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def this_process() -> str:
    """Host and pid; the host's last letters give way when it is long."""
    pid = str(os.getpid())
    host = re.sub(r"\s", "-", socket.gethostname().split(".")[0])
    return f"{pid}@{host}"
