"""The claim loop: one a job process, any number of processes. Stops when told, after the steps in hand."""

from __future__ import annotations

import logging
import os
import socket
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from campaigns_app.engine import advance, claim_due, park_abandoned, renew
from campaigns_app.sending import Line

if TYPE_CHECKING:
    import threading
    import uuid

log = logging.getLogger(__name__)

TICK_S = 1.0
#: Well below a lease, so that one missed turn loses none.
LOOK_AFTER_S = 8.0
#: Steps at once in one process; most of a step is waiting for a graph.
CONCURRENCY = 8


def run_claim_loop(stop: threading.Event) -> None:
    """Claim and advance until `stop` is set. A database that is away is waited for, never fatal."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    running: dict[Future[None], uuid.UUID] = {}
    lines: SimpleQueue[Line] = SimpleQueue()
    for _ in range(CONCURRENCY):
        lines.put(Line())
    looked = 0.0
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="campaign") as pool:
        while not stop.is_set():
            # As many again wait their turn, so that one claim serves many steps.
            claimed = claim(worker, 2 * CONCURRENCY - len(running)) if len(running) <= CONCURRENCY else []
            running |= {pool.submit(advance_one, each, lines): each for each in claimed}
            if running:
                done = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED).done
                running = {future: each for future, each in running.items() if future not in done}
            else:
                hang_up(lines)
                stop.wait(TICK_S)
            if time.monotonic() - looked > LOOK_AFTER_S:
                looked = time.monotonic()
                look_after(worker, list(running.values()))
    hang_up(lines)


def hang_up(lines: SimpleQueue[Line]) -> None:
    """Close every connection to the mail server; all of them are free."""
    for _ in range(CONCURRENCY):
        line = lines.get()
        line.close()
        lines.put(line)


def look_after(worker: str, in_hand: list[uuid.UUID]) -> None:
    """Renew the leases of the steps in hand; find mails that a dead process left behind."""
    close_old_connections()
    try:
        renew(in_hand, worker=worker)
        park_abandoned()
    except (OperationalError, InterfaceError) as error:
        log.warning("campaign leases: the database is away", extra={"why": str(error)})


def claim(worker: str, limit: int) -> list[uuid.UUID]:
    close_old_connections()
    try:
        return claim_due(worker=worker, limit=limit)
    except (OperationalError, InterfaceError) as error:
        log.warning("campaign claim: the database is away", extra={"why": str(error)})
        return []


def advance_one(enrollment_id: uuid.UUID, lines: SimpleQueue[Line]) -> None:
    """One step in a worker thread; what it raises is logged and the lease brings the row back."""
    close_old_connections()
    line = lines.get()
    try:
        advance(enrollment_id, line)
    except Exception:
        log.exception("campaign step crashed", extra={"enrollment": str(enrollment_id)})
    finally:
        lines.put(line)
        connection.close()
