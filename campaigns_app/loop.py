"""The claim loop: one a job process, any number of processes. Stops when told, after the steps in hand."""

from __future__ import annotations

import logging
import os
import socket
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from campaigns_app.engine import advance, claim_due

if TYPE_CHECKING:
    import threading
    import uuid

log = logging.getLogger(__name__)

TICK_S = 1.0
#: Steps at once in one process; most of a step is waiting for a graph.
CONCURRENCY = 8


def run_claim_loop(stop: threading.Event) -> None:
    """Claim and advance until `stop` is set. A database that is away is waited for, never fatal."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="campaign") as pool:
        while not stop.is_set():
            free = CONCURRENCY - len(running)
            claimed = claim(worker, free) if free else []
            running |= {pool.submit(advance_one, each) for each in claimed}
            if running:
                running = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED).not_done
            else:
                stop.wait(TICK_S)


def claim(worker: str, limit: int) -> list[uuid.UUID]:
    close_old_connections()
    try:
        return claim_due(worker=worker, limit=limit)
    except (OperationalError, InterfaceError) as error:
        log.warning("campaign claim: the database is away", extra={"why": str(error)})
        return []


def advance_one(enrollment_id: uuid.UUID) -> None:
    """One step in a worker thread; what it raises is logged and the lease brings the row back."""
    close_old_connections()
    try:
        advance(enrollment_id)
    except Exception:
        log.exception("campaign step crashed", extra={"enrollment": str(enrollment_id)})
    finally:
        connection.close()
