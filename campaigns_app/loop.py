"""The claim loop: one a job process, any number of processes. Stops when told, after the mails in hand.

One thread owns the database and takes everything that is ready through a stage at once, in one transaction; the
others wait: for a graph that writes, for a mail server that takes.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections

from campaigns_app import engine
from campaigns_app.sending import Line, Outcome
from campaigns_app.writing import compose
from contract.errors import LangGraphError

if TYPE_CHECKING:
    import threading
    import uuid
    from collections.abc import Callable, Iterable

    from campaigns_app.models import Touch

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

#: Pause between two looks while all that was due is in hand: what becomes due meanwhile is taken together.
TICK_S = 0.5
#: Shortest time between two turns: a turn costs the same for one step as for many.
TURN_S = 0.2
#: Well below a lease, so that one missed turn loses none.
LOOK_AFTER_S = 8.0
#: A connection to the mail server that carried nothing for so long is closed.
IDLE_S = 10.0
#: How long a process that was told to stop waits for the mails it is handing over.
GRACE_S = 8.0
#: Letters being written at once; a writer mostly waits for a graph.
WRITERS = 16
#: Mails being handed over at once, each on a connection of its own.
LINES = 8
#: Mails that are promised and not yet handed over: no more than these are unknown when a process dies.
PROMISED = 2 * LINES
IN_HAND = 2 * (WRITERS + LINES)


def run_claim_loop(stop: threading.Event) -> None:
    """Claim and advance until `stop` is set. A database that is away is waited for, never fatal."""
    with Desk(f"{socket.gethostname()}:{os.getpid()}") as desk:
        while not stop.is_set():
            began = time.monotonic()
            if turn(desk):
                desk.wait()
                stop.wait(max(0.0, began + TURN_S - time.monotonic()))
            else:
                stop.wait(TICK_S)
        ends = time.monotonic() + GRACE_S
        while desk.unsettled and time.monotonic() < ends:
            desk.wait()
            turn(desk, stopping=True)


def turn(desk: Desk, *, stopping: bool = False) -> bool:
    """One turn of the desk; false when all that is due is in hand, or the database is away."""
    try:
        return desk.turn(stopping=stopping)
    except (OperationalError, InterfaceError) as error:
        log.warning("campaigns: the database is away", extra={"why": str(error)})
        return False
    finally:
        close_old_connections()


class Desk:
    """What one process has in hand: letters being written, mails being handed over, and what came of either."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="campaign-writer")
        self._senders = ThreadPoolExecutor(LINES, thread_name_prefix="campaign-sender")
        self._lines = [Line() for _ in range(LINES)]
        self._free: SimpleQueue[Line] = SimpleQueue()
        for line in self._lines:
            self._free.put(line)
        self._writing: dict[Future[Touch], uuid.UUID] = {}
        self._written: list[Touch] = []
        self._ready: list[uuid.UUID] = []
        self._sending: dict[Future[Outcome], Touch] = {}
        self._outcomes: dict[Touch, Outcome] = {}
        self._failed: dict[uuid.UUID, str] = {}
        self._looked_after = self._sent = time.monotonic()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._writers.shutdown(cancel_futures=True)
        self._senders.shutdown()
        self._hang_up()

    @property
    def unsettled(self) -> bool:
        """Whether there are mails of which the database does not know yet what became of them."""
        return bool(self._sending or self._outcomes)

    def in_hand(self) -> set[uuid.UUID]:
        touches = (*self._written, *self._sending.values(), *self._outcomes)
        return {*self._writing.values(), *self._ready, *(touch.enrollment_id for touch in touches)}

    def turn(self, *, stopping: bool = False) -> bool:
        """Take all that is ready one stage on; whether more is due than was in reach."""
        self._collect()
        self._look_after()
        self._settle()
        self._keep_letters()
        self._put_back()
        if stopping:
            return False
        more = self._claim()
        self._promise()
        return more or bool(self._ready)

    def wait(self) -> None:
        """Until the mails that are being handed over are, or a letter could be ready."""
        waited_for: Iterable[Future[Any]] = self._sending or self._writing
        wait(waited_for, timeout=TICK_S)

    def _collect(self) -> None:
        for letter in [each for each in self._writing if each.done()]:
            enrollment = self._writing.pop(letter)
            try:
                self._written.append(letter.result())
            except LangGraphError as error:
                self._failed[enrollment] = f"{error.kind}: {error}"
            except Exception as error:
                self._crashed(enrollment, error)
        for mail in [each for each in self._sending if each.done()]:
            touch = self._sending.pop(mail)
            try:
                self._outcomes[touch] = mail.result()
            except Exception as error:
                self._crashed(touch.enrollment_id, error)

    def _look_after(self) -> None:
        """Renew the leases of the steps in hand; find mails that a dead process left behind."""
        now = time.monotonic()
        if now - self._looked_after > LOOK_AFTER_S:
            engine.renew(self.in_hand(), worker=self.worker)
            engine.park_abandoned()
            self._looked_after = now
        if now - self._sent > IDLE_S and not self._sending:
            self._hang_up()

    def _settle(self) -> None:
        """Settle what can be; an outcome whose row somebody else holds stays for the next turn."""
        left = self._together(
            lambda touches: engine.settle({each: self._outcomes[each] for each in touches}),
            list(self._outcomes),
            lambda touch: touch.enrollment_id,
        )
        self._outcomes = {touch: self._outcomes[touch] for touch in left}

    def _keep_letters(self) -> None:
        kept = self._together(engine.keep_letters, self._written, lambda touch: touch.enrollment_id)
        self._ready += kept
        self._written = []

    def _put_back(self) -> None:
        if self._failed:
            engine.put_back(self._failed)
            self._failed = {}

    def _claim(self) -> bool:
        """Claim what is due and set it going; whether there may be more."""
        mine = self.in_hand()
        room = IN_HAND - len(mine)
        if room <= 0:
            return True
        claimed = engine.claim_due(worker=self.worker, limit=room)
        fresh = [each for each in claimed if each not in mine]
        for row in self._together(engine.take_up, fresh, lambda pk: pk):
            if engine.letter_of(row):
                self._ready.append(row.pk)
            else:
                self._writing[self._writers.submit(compose, row)] = row.pk
        return len(claimed) == room

    def _promise(self) -> None:
        """Promise as many mails as can be handed over soon."""
        free = PROMISED - len(self._sending)
        now, self._ready = self._ready[:free], self._ready[free:]
        for touch in self._together(engine.commit_to_send, now, lambda pk: pk):
            self._sending[self._senders.submit(self._hand_over, touch)] = touch
            self._sent = time.monotonic()

    def _hand_over(self, touch: Touch) -> Outcome:
        line = self._free.get()
        try:
            return line.hand_over(touch)
        finally:
            self._free.put(line)

    def _hang_up(self) -> None:
        """Close every connection to the mail server; all of them are free."""
        for line in self._lines:
            line.close()

    def _together(
        self, stage: Callable[[list[T]], Iterable[R]], items: list[T], enrollment: Callable[[T], uuid.UUID]
    ) -> list[R]:
        """Take all through a stage at once; when one spoils it, each alone, so that it spoils its own step only."""
        if not items:
            return []
        try:
            return list(stage(items))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if len(items) == 1:
                self._crashed(enrollment(items[0]), error)
                return []
            return [each for item in items for each in self._together(stage, [item], enrollment)]

    def _crashed(self, enrollment: uuid.UUID, error: Exception) -> None:
        log.error("campaign step crashed", exc_info=error, extra={"enrollment": str(enrollment)})
        self._failed[enrollment] = f"{type(error).__name__}: {error}"
