"""Ids for records and trace headers: unique, not secret, so no system call for each."""

from __future__ import annotations

from random import getrandbits


def new_uuid() -> str:
    """A version 4 UUID."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_traceparent() -> tuple[str, str]:
    """A W3C trace id of our own and the header that carries it; neither id is zero."""
    trace_id = f"{getrandbits(128) | 1:032x}"
    return trace_id, f"00-{trace_id}-{getrandbits(64) | 1:016x}-01"
