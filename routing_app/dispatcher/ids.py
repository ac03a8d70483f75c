"""Ids for records and trace headers: unique, not secret, so no system call for each."""

from __future__ import annotations

from random import getrandbits


def new_uuid() -> str:
    """A version 4 UUID."""
    digits = _hex(16)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_traceparent() -> tuple[str, str]:
    """A W3C trace id of our own and the header that carries it; neither id is zero."""
    trace_id = _hex(16)
    return trace_id, f"00-{trace_id}-{_hex(8)}-01"


def _hex(size: int) -> str:
    """So many random bytes, not all of them zero."""
    return (getrandbits(8 * size) | 1).to_bytes(size, "big").hex()
