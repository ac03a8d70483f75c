"""Help with the filter of the list: its terms as removable chips, and how a word could go on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from registry_app.models import ApiKey, GraphRecord
from routing_app.models import Pool
from traces_app.diagnose import CODES
from traces_app.filters import FIELDS, HAS, KEYED, SOURCES, STATUSES, FilterError, parse

#: Fields offered before a word is written, with one example each.
FIELDS_SHOWN = (
    ("status", "error"),
    ("pool", "EMAIL"),
    ("assistant", "email_compose"),
    ("caller", "demo"),
    ("latency", ">2s"),
    ("tokens", ">1000"),
    ("cost", ">0.01"),
    ("finding", "two-traces"),
    ("has", "feedback"),
    ("feedback.reply_received", ">0"),
    ("version", "1"),
    ("since", "24h"),
)
SHOWN = 8
EXAMPLES = {
    "latency": (">500ms", ">2s", ">10s"),
    "cost": (">0.01", ">0.1"),
    "tokens": (">1000", ">10000"),
    "runs": (">100",),
    "errors": (">0",),
    "since": ("1h", "24h", "7d"),
    "until": ("1h", "24h"),
    "source": SOURCES,
    "status": STATUSES,
    "has": HAS,
    "finding": CODES,
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One term of the filter; `rest_href` is the list without it."""

    name: str
    value: str
    rest_href: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    text: str
    href: str


def chips(query: str, live: bool = True) -> tuple[Chip, ...]:
    """The terms of a filter that can be read; none of one that cannot."""
    try:
        terms = parse(query)
    except FilterError:
        return ()
    starts = [term.position for term in terms]
    found = []
    ends = [*starts[1:], len(query)] if starts else []
    for start, end in zip(starts, ends, strict=True):
        text = query[start:end].strip()
        rest = f"{query[:start]}{query[end:]}".strip()
        name, colon, value = text.partition(":") if not text.startswith('"') else ("", "", text)
        pairs = [(key, one) for key, one in (("q", rest), ("live", "" if live else "off")) if one]
        href = "/traces/" + ("?" + urlencode(pairs) if pairs else "")
        found.append(Chip(name + colon, value, href) if colon else Chip("", text, href))
    return tuple(found)


def within(query: str, start: datetime, width: timedelta) -> str:
    """The filter cut to a stretch of time instead of whatever time it was cut to."""
    rest = " ".join(word for word in query.split(" ") if not re.match(r"(since|until):", word))
    cut = " ".join(
        f"{name}:{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for name, moment in (("since", start), ("until", start + width))
    )
    return f"{rest} {cut}".strip()


def complete(query: str, typed: str) -> tuple[Suggestion, ...]:
    """Ways to go on with the last word of `typed`: fields first, after a colon that field's values."""
    before, _, word = typed.rpartition(" ")
    minus = "-" if word.startswith("-") else ""
    name, colon, value = word.removeprefix("-").partition(":")
    if colon:
        found = [
            f"{name}:{one}" for one in _values(name.lower(), value) if one.lower().startswith(value.lower())
        ]
    else:
        found = (
            [f"{one}:" for one in FIELDS if one not in KEYED and one.startswith(name.lower())] if name else []
        )
    begun = f"{before} " if before else ""
    return tuple(
        Suggestion(minus + text, "/traces/?" + urlencode({"q": query, "add": f"{begun}{minus}{text}"}))
        for text in found[:SHOWN]
        if not text.endswith(":") or text.rstrip(":") != name
    )


def _values(field: str, begun: str) -> tuple[str, ...]:
    if field == "pool":
        return tuple(Pool.objects.order_by("position").values_list("slug", flat=True))
    if field == "assistant":
        named = GraphRecord.objects.filter(pk__istartswith=begun).order_by("pk")
        return tuple(named.values_list("pk", flat=True)[:SHOWN])
    if field == "caller":
        return tuple(ApiKey.objects.order_by("name").values_list("name", flat=True).distinct()[:50])
    return EXAMPLES.get(field, ())
