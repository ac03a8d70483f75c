"""Run and thread ids: UUIDv7, as LangGraph servers make them, so that they sort by time."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """Return a fresh UUIDv7."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
