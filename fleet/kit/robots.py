"""What a site's robots.txt lets us read (RFC 9309), as far as the standard library's parser reads it.

That parser compares prefixes and takes the first rule that fits: it knows no `*` or `$` inside a path.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable
    from urllib.robotparser import RobotFileParser

MOST_ORIGINS = 500
#: RFC 9309 lets a copy stand in for a day; a file that could not be read is asked for again soon.
KEPT_S = 24 * 3600.0
UNKNOWN_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What one origin asks of robots. Without a parser there is nothing to ask: all is allowed, or nothing is known."""

    known: bool
    parser: RobotFileParser | None = None

    def allow(self, agent: str, url: str) -> bool:
        return self.known and (self.parser is None or self.parser.can_fetch(agent, url))


def rules_of(status: int, text: str) -> Rules:
    """A site without the file allows all; one that fails to give it allows nothing for now."""
    from urllib.robotparser import RobotFileParser

    if status == 429 or status >= 500:
        return Rules(known=False)
    if status >= 300:
        return Rules(known=True)
    parser = RobotFileParser()
    try:
        parser.parse(text.removeprefix("\ufeff").splitlines())
    except ValueError:  # it reads `Crawl-delay: ²` as a number
        return Rules(known=False)
    return Rules(known=True, parser=parser)


class Book:
    """The rules of the origins read last."""

    def __init__(self, most: int = MOST_ORIGINS) -> None:
        self._most = most
        self._rules: OrderedDict[Hashable, tuple[Rules, float]] = OrderedDict()

    def find(self, origin: Hashable, now: float) -> Rules | None:
        rules, until = self._rules.get(origin, (None, now))
        return rules if until > now else None

    def keep(self, origin: Hashable, rules: Rules, now: float) -> None:
        self._rules.pop(origin, None)
        self._rules[origin] = rules, now + (KEPT_S if rules.known else UNKNOWN_KEPT_S)
        while len(self._rules) > self._most:
            self._rules.popitem(last=False)
