"""Run and thread ids: UUIDv7, as LangGraph servers make them, so that they sort by time."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """Return a fresh UUIDv7."""
    text = f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"
