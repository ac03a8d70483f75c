"""What a server process does with its memory once it is ready."""

from __future__ import annotations

import gc

_COLLECT_AFTER = 50_000


def settle() -> None:
    """Leave what was imported out of collections, and collect less often: a request frees by itself what it makes.

    By the default, each tree of some thousand rows sets off walks through all that is loaded.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
