"""Which GET answers may be used again, and for how long (RFC 9111, as a private cache in memory)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from fleet.kit.http import Reply

MOST_BYTES = 8 * 1024 * 1024  # a pool has 140 MiB in all
LARGEST_BODY = 1024 * 1024
ENTRY_COST = 2048  # what an answer weighs beside its body
LONGEST_FRESH_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer worth keeping."""

    reply: Reply
    #: By the clock that was handed in; from then on the source is asked whether it still holds.
    fresh_until: float

    def questions(self) -> dict[str, str]:
        """The headers that ask whether this answer still holds."""
        headers = self.reply.headers
        asked = {"if-none-match": headers.get("etag"), "if-modified-since": headers.get("last-modified")}
        return {name: value for name, value in asked.items() if value}


class Shelf:
    """Answers within `most_bytes`; the one used longest ago makes room. Loops of several threads may share it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Kept | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def keep(self, key: Hashable, reply: Reply, now: float) -> None:
        """Take `reply` in place of an earlier answer, if its headers allow that and it is of use."""
        self.drop(key)
        kept = Kept(reply, now + fresh_for_s(reply.headers))
        if not _storable(reply) or not (kept.fresh_until > now or kept.questions()):
            return
        with self._lock:
            self._kept[key] = kept
            self._bytes += _cost(reply)
            while self._bytes > self._most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= _cost(oldest.reply)

    def renew(self, key: Hashable, kept: Kept, headers: Mapping[str, str], now: float) -> Reply:
        """The source said 304: the kept body under the headers of today."""
        reply = replace(kept.reply, headers={**kept.reply.headers, **_described(headers)})
        self.keep(key, reply, now)
        return reply

    def drop(self, key: Hashable) -> None:
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._bytes -= _cost(kept.reply)


def fresh_for_s(headers: Mapping[str, str]) -> float:
    """Seconds that the source vouches for its answer; 0 when it does not say, for we do not guess."""
    said = _directives(headers)
    if "no-cache" in said:
        return 0.0
    age = headers.get("age", "")
    lifetime = float(said["max-age"]) if said.get("max-age", "").isdecimal() else _until_expiry_s(headers)
    return min(max(0.0, lifetime - (float(age) if age.isdecimal() else 0.0)), LONGEST_FRESH_S)


def _until_expiry_s(headers: Mapping[str, str]) -> float:
    from email.utils import parsedate_to_datetime

    try:
        end, start = (parsedate_to_datetime(headers[name]) for name in ("expires", "date"))
        return (end - start).total_seconds()
    except (KeyError, ValueError, TypeError):  # not said, or not said as a date
        return 0.0


def _storable(reply: Reply) -> bool:
    # A request differs from another of its key in nothing, so that any `Vary` but `*` is met.
    return (
        reply.status == 200
        and len(reply.body) <= LARGEST_BODY
        and "no-store" not in _directives(reply.headers)
        and reply.headers.get("vary", "").strip() != "*"
    )


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in headers.get("cache-control", "").lower().split(","))
    return {name: value.strip('"') for name, _, value in parts if name}


def _described(headers: Mapping[str, str]) -> dict[str, str]:
    # A 304 has no body: what describes one is the kept answer's.
    return {name: value for name, value in headers.items() if not name.startswith("content-")}


def _cost(reply: Reply) -> int:
    return len(reply.body) + ENTRY_COST
