"""The words by which two texts are compared."""

from __future__ import annotations

import re

_WORD = re.compile(r"[a-z][a-z0-9+#-]{2,}")
_COMMON = frozenset({
    "about", "all", "also", "and", "any", "are", "been", "can", "companies", "company", "experience",
    "for", "from", "has", "have", "into", "look", "looking", "more", "most", "must", "need", "needed",
    "needs", "new", "not", "one", "other", "our", "partner", "require", "required", "requires", "start",
    "team", "teams", "than", "that", "the", "their", "then", "they", "this", "three", "two", "wanted",
    "was", "were", "what", "when", "where", "which", "who", "will", "with", "work", "working", "works",
    "you", "your",
})  # fmt: skip


def telling(text: str) -> set[str]:
    """Words that say what a text is about; a plural counts as its singular."""
    return {word.removesuffix("s") for word in _WORD.findall(text.lower()) if word not in _COMMON} - _COMMON
