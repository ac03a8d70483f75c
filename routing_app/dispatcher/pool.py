"""A pool as the dispatcher sees it: bounded, watched, with one or more replicas.

Nothing is shared between pools: session, connections, slots and breakers are each pool's own,
so a pool on fire uses up only what is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from routing_app.dispatcher.upstream import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routing_app.live import Hold

#: Calls that do not hold a run (state, cancel, get): their own lane, so that a flooded pool can be cancelled.
CONTROL_CONCURRENCY, CONTROL_QUEUE = 32, 128


class Saturated(Exception):
    """All slots are taken and the queue is full, or the wait for a slot took too long."""


class Bulkhead:
    """At most `limit` holders and `queue` waiters, first come first served."""

    __slots__ = ("active", "limit", "queue", "waiters")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.active = 0
        self.waiters: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """A slot at once, when one is free and nobody waits for it."""
        if self.active < self.limit and not self.waiters:
            self.active += 1
            return True
        return False

    async def acquire(self, timeout_s: float) -> None:
        """Raises Saturated when the queue is full or no slot came free within `timeout_s`."""
        if self.take():
            return
        if len(self.waiters) >= self.queue:
            raise Saturated
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot came while we were leaving
            else:
                with suppress(ValueError):  # a slot came by first and passed over the cancelled waiter
                    self.waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise Saturated from None
            raise

    def release(self) -> None:
        """Hand the slot to the first waiter, or give it back."""
        self.active -= 1
        if self.waiters:
            self._admit()

    def resize(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self._admit()

    def _admit(self) -> None:
        while self.waiters and self.active < self.limit:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.active += 1
                waiter.set_result(None)


class Breaker:
    """Closed, open, half-open. Opens after consecutive failures to reach or hear a replica; one probe closes it.

    A pool's own 5xx does not count: it was reached and answered.
    """

    __slots__ = ("cooldown", "failures", "hold", "opened", "probing", "reason", "refused", "retry_at")

    THRESHOLD = 5
    COOLDOWN_S, LONGEST_COOLDOWN_S = 1.0, 10.0

    def __init__(self) -> None:
        self.failures = 0
        self.opened = False
        self.probing = False
        self.retry_at = 0.0
        self.cooldown = self.COOLDOWN_S
        self.reason = ""
        #: The last failure was to get no connection: to ask again costs nothing and loses nothing.
        self.refused = False
        #: An operator's word over it; the count of failures goes on below.
        self.hold: Hold | None = None

    @property
    def held(self) -> Literal["", "open", "closed"]:
        return self.hold.state if self.hold is not None and self.hold.until > time.time() else ""

    @property
    def state(self) -> Literal["closed", "open", "half-open", "held open", "held closed"]:
        if held := self.held:
            return "held open" if held == "open" else "held closed"
        if not self.opened:
            return "closed"
        return "half-open" if self.probing or time.monotonic() >= self.retry_at else "open"

    def admits(self) -> bool:
        if self.hold is not None and (held := self.held):
            return held == "closed"
        return not self.opened or (not self.probing and time.monotonic() >= self.retry_at)

    def entered(self) -> None:
        if self.opened:
            self.probing = True

    def succeeded(self) -> None:
        self.failures = 0
        if self.opened:
            self.opened = self.probing = False
            self.cooldown, self.reason = self.COOLDOWN_S, ""

    def failed(self, reason: str, *, refused: bool = False, for_now: bool = False) -> None:
        """Note a failure; `for_now`: the replica itself asked to be left alone."""
        self.failures += 1
        self.refused = refused
        if not self.opened and self.failures < self.THRESHOLD and not for_now:
            return
        if refused:  # a dead worker is back in seconds: it is asked every second until then
            self.cooldown = self.COOLDOWN_S
        elif self.opened and self.probing:
            self.cooldown = min(self.cooldown * 2, self.LONGEST_COOLDOWN_S)
        self.opened, self.probing, self.reason = True, False, reason
        self.retry_at = time.monotonic() + self.cooldown

    def abandoned(self) -> None:
        """The caller left before the replica was heard: no verdict, the next call may probe."""
        self.probing = False


class Replica:
    """One address of a pool; `with replica:` is a call to it."""

    __slots__ = ("active", "base", "breaker", "endpoint", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        #: What an address of its own begins with.
        self.base = url.rstrip("/").encode()
        self.breaker = Breaker()
        self.active = 0
        self.endpoint = Endpoint(url)

    def __enter__(self) -> None:
        self.breaker.entered()
        self.active += 1

    def __exit__(self, *_: object) -> None:
        self.active -= 1


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """What the routing document says of a pool, with the secret its variable holds."""

    slug: str
    urls: tuple[str, ...]
    concurrency: int = 64
    queue: int = 128
    connect_timeout_s: float = 2.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 600.0
    secret: str = field(default="", repr=False)

    @property
    def proof(self) -> bytes:
        """The header lines that show a worker who calls."""
        raw = self.secret.encode("latin-1", "replace")
        return b"authorization: Bearer %b\r\nx-api-key: %b\r\n" % (raw, raw) if raw else b""


class Pool:
    """Owns the connections and slots of one pool for as long as a routing document names it."""

    def __init__(self, spec: PoolSpec) -> None:
        self.spec, self.slug = spec, spec.slug
        self.runs = Bulkhead(spec.concurrency, spec.queue)
        self.control = Bulkhead(CONTROL_CONCURRENCY, CONTROL_QUEUE)
        self.replicas: tuple[Replica, ...] = ()
        self.reconfigure(spec)

    def reconfigure(self, spec: PoolSpec) -> None:
        """Take a new document's facts; runs in flight, open connections and breakers of kept replicas live on."""
        self.spec = spec
        self.runs.resize(spec.concurrency, spec.queue)
        known = {replica.url: replica for replica in self.replicas}
        self.replicas = tuple(known.get(url) or Replica(url) for url in spec.urls)

    def choose(self, *, avoid: Replica | None = None) -> Replica | None:
        """The least-loaded replica whose breaker admits a call, besides `avoid`, which was not reached.

        In a rolling restart a replica may be back before its breaker knows, just as the next one goes: one that
        only refused connections is then asked all the same, when there is no other.
        """
        found = None
        for replica in self.replicas:
            if (
                replica is not avoid
                and (found is None or replica.active < found.active)
                and replica.breaker.admits()
            ):
                found = replica
        return found or self._choose_refused(avoid)

    def _choose_refused(self, avoid: Replica | None) -> Replica | None:
        found = [
            replica
            for replica in self.replicas
            if replica is not avoid
            and replica.breaker.refused
            and (replica.breaker.probing or avoid is not None)
            and not replica.breaker.held
        ]
        return min(found, key=_load, default=None)

    def retry_after(self) -> float:
        now = time.monotonic()
        waits = [replica.breaker.retry_at - now for replica in self.replicas if replica.breaker.opened]
        return max(1.0, min(waits, default=1.0))

    def facts(self) -> dict[str, Any]:
        return {
            "active": self.runs.active,
            "limit": self.runs.limit,
            "queued": len(self.runs.waiters),
            "queue": self.runs.queue,
            "replicas": [
                {
                    "url": replica.url,
                    "active": replica.active,
                    "breaker": replica.breaker.state,
                    "reason": replica.breaker.reason,
                }
                for replica in self.replicas
            ],
        }

    def close(self) -> None:
        for replica in self.replicas:
            replica.endpoint.close()


def _load(replica: Replica) -> int:
    return replica.active


class PoolSet:
    """The pools of the live document; a pool dropped from it is closed once its last run ended."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}
        self._holds: tuple[Hold, ...] = ()
        self._retired: set[asyncio.Task[None]] = set()

    def apply(self, specs: Sequence[PoolSpec]) -> None:
        fresh = {}
        for spec in specs:
            pool = self.pools.pop(spec.slug, None)
            if pool is None:
                pool = Pool(spec)
            else:
                pool.reconfigure(spec)
            fresh[spec.slug] = pool
        for gone in self.pools.values():
            task = asyncio.get_running_loop().create_task(self._retire(gone))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        self.pools = fresh
        self.hold(self._holds)

    def hold(self, holds: Sequence[Hold]) -> None:
        """Put these over the breakers, and take all others off."""
        self._holds = tuple(holds)
        by_replica = {(hold.pool, hold.url): hold for hold in holds}
        for pool in self.pools.values():
            for replica in pool.replicas:
                replica.breaker.hold = by_replica.get((pool.slug, replica.url))

    async def _retire(self, pool: Pool) -> None:
        while pool.runs.active or pool.control.active:  # noqa: ASYNC110 - rare, and nobody waits for it
            await asyncio.sleep(0.5)
        pool.close()

    def close(self) -> None:
        for task in list(self._retired):
            task.cancel()
        for pool in self.pools.values():
            pool.close()
