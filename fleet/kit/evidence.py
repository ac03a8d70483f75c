"""Quotes that a model gives as evidence count only when they stand in the text."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Lower case, single spaces: how a quote is compared with the text it comes from."""
    return re.sub(r"\s+", " ", text).strip().lower()


def stands_in(quote: str, text: str) -> bool:
    """True when the words of `quote` stand in `text` in this order, without regard to case and line breaks."""
    return bool(plain(quote)) and plain(quote) in plain(text)
