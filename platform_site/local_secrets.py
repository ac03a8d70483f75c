"""Secrets a checkout makes for itself once: `secrets.json` in the data folder, mode 0600. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "SECRET_KEY",
    "CORE_WORKER_SECRET",
    "EMAIL_WORKER_SECRET",
    "CLASSIFY_WORKER_SECRET",
    "DISCOVERY_WORKER_SECRET",
    "INGEST_KEY",  # the pools' key for our own LangSmith address
    "RUNS_KEY",  # the key of graphs that call other graphs
)


def local_secrets(data_dir: Path) -> dict[str, str]:
    """Return every secret of the checkout, making those that are missing. Safe between processes."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "secrets.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = data_dir / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        made = {name: known.get(name) or secrets.token_urlsafe(48) for name in NAMES}
        if made != known:
            write_private(path, json.dumps(known | made, indent=1))
        return known | made


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
    fresh.replace(path)
