"""A latency sketch that merges by addition: counts of logarithmic buckets, each 10 % wider than the one before.

A quantile read from it is at most 5 % off. Bucket 0 is all below a millisecond; the last takes all from about a day.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GAMMA = 1.1
BUCKETS = 192
#: The longest duration of each bucket but the last, in whole microseconds.
_LONGEST = tuple(math.floor(1000 * GAMMA**n) for n in range(BUCKETS - 1))


def bucket_of(duration_us: int) -> int:
    """Return the bucket of a duration in microseconds; a negative one (end before start) counts as 0."""
    return bisect_left(_LONGEST, duration_us)


def quantile(counts: Sequence[int], q: float) -> float | None:
    """Return the q-quantile in milliseconds, None when nothing was counted."""
    total = sum(counts)
    if not total:
        return None
    rank = q * (total - 1)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen > rank:
            return 1.0 if bucket == 0 else 2 * GAMMA**bucket / (GAMMA + 1)
    return None
