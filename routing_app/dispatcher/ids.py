"""Ids for records and trace headers: unique, not secret, so no system call for each."""

from __future__ import annotations

from random import getrandbits

#: The last bit of a trace id and of a span id behind it.
_NOT_ZERO = 1 << 64 | 1


def new_uuid() -> str:
    """A version 4 UUID."""
    digits = getrandbits(128).to_bytes(16, "big").hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_traceparent() -> tuple[str, str]:
    """A W3C trace id of our own and the header that carries it; neither id is zero."""
    digits = (getrandbits(192) | _NOT_ZERO).to_bytes(24, "big").hex()
    trace_id = digits[:32]
    return trace_id, f"00-{trace_id}-{digits[32:]}-01"
