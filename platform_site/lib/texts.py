"""What a text may hold to be stored."""

from __future__ import annotations


def storable(text: str) -> str:
    """Return the text without NULs and with "?" for half surrogate pairs: PostgreSQL holds neither."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
