"""What a site's robots.txt lets us read (RFC 9309), as far as the standard library's parser reads it.

That parser compares prefixes and takes the first rule that fits: it knows no `*` or `$` inside a path.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable
    from urllib.robotparser import RobotFileParser

MOST_ORIGINS = 500
#: RFC 9309 lets a copy stand in for a day; a file that could not be read is asked for again soon.
KEPT_S = 24 * 3600.0
UNREADABLE_KEPT_S = 60.0


def rules_of(status: int, text: str) -> RobotFileParser:
    """A site without the file allows all; one that fails to give it allows nothing."""
    from urllib.robotparser import RobotFileParser

    rules = RobotFileParser()
    if status < 300:
        rules.parse(text.removeprefix("\ufeff").splitlines())
    elif unreadable(status):
        rules.disallow_all = True
    else:
        rules.allow_all = True
    return rules


def unreadable(status: int) -> bool:
    return status == 429 or status >= 500


class Book:
    """The rules of the origins read last."""

    def __init__(self, most: int = MOST_ORIGINS) -> None:
        self._most = most
        self._rules: OrderedDict[Hashable, tuple[RobotFileParser, float]] = OrderedDict()

    def find(self, origin: Hashable, now: float) -> RobotFileParser | None:
        rules, until = self._rules.get(origin, (None, now))
        return rules if until > now else None

    def keep(self, origin: Hashable, rules: RobotFileParser, now: float, *, for_s: float) -> None:
        self._rules.pop(origin, None)
        self._rules[origin] = rules, now + for_s
        while len(self._rules) > self._most:
            self._rules.popitem(last=False)
