"""Ids for records and trace headers: unique, not secret, so no system call for each."""

from __future__ import annotations

from random import getrandbits

_VERSION, _VARIANT = 0x4 << 76, 0x2 << 62
_CLEAR = ~((0xF << 76) | (0x3 << 62))


def new_uuid() -> str:
    """A version 4 UUID."""
    digits = f"{(getrandbits(128) & _CLEAR) | _VERSION | _VARIANT:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_traceparent() -> tuple[str, str]:
    """A W3C trace id of our own and the header that carries it; neither id is zero."""
    trace_id = f"{getrandbits(128) | 1:032x}"
    return trace_id, f"00-{trace_id}-{getrandbits(64) | 1:016x}-01"
