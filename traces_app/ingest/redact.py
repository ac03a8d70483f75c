"""What may not be stored: rules as data, applied in one place, whatever door it came through.

A cheap look at the finished JSON decides whether anything could match; only then is it walked value by value. When
the walk itself fails, the values are dropped and not stored unredacted.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from traces_app.store.pack import opened

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_REPLACEMENT = "[redacted]"
FAILED = "[withheld: redaction failed]"

KEYS = (
    "password",
    "passwd",
    "secret",
    "client_secret",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "authorization",
    "access_token",
    "refresh_token",
    "private_key",
    "secret_key",
    "aws_secret_access_key",
    "cookie",
    "set-cookie",
    "card_number",
    "cvv",
)
PATTERNS = (
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\blsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
    r"(?i:\bbearer) +[A-Za-z0-9._~+/-]{20,}=*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
)
#: What every match of a default pattern contains. An expression that begins with one letter is searched for as fast
#: as bytes are read, so each begins with the rarest of its mark and looks back from there; and on, for what a text is
#: walked for costs many times the look: "risk-based" is no key.
_MARKS = tuple(
    re.compile(mark)
    for mark in (
        rb"-(?:(?<=sk-)(?=[A-Za-z0-9_-]{20})|(?<=xox[abprs]-)(?=[A-Za-z0-9-]{10}))",
        rb"_(?:(?<=lsv2_)(?=[a-z]{2}_)|(?<=gh[pousr]_)(?=[A-Za-z0-9]{30}))",
        rb"K(?:(?<=AK)(?=IA[0-9A-Z]{16})|(?<=PRIVATE K)(?=EY))",
        rb"J(?<=eyJ)(?=[A-Za-z0-9_-]{10})",
        # A letter that JSON spells as its number could be one of any rule.
        rb"0(?<=\\u0)(?=0[2-7])",
    )
)
_BEARER = re.compile(rb"bearer +[a-z0-9._~+/-]{20}")
_DEFAULT = re.compile("|".join(PATTERNS))


def _secret_shows(blob: bytes, low: bytes) -> bool:
    """Whether a default pattern could match in the bytes, which come as they are and in lower case."""
    for mark in _MARKS:
        if mark.search(blob):
            return True
    return b"bearer " in low and _BEARER.search(low) is not None


class Rule(msgspec.Struct, frozen=True):
    """One row of `traces_app_redactionrule`. `kind` is "key" or "pattern"; project "" means every project."""

    kind: str
    expression: str
    project: str = ""
    replacement: str = DEFAULT_REPLACEMENT


class Ruleset:
    """The rules of one project, compiled. Raises `re.error` for an expression that is none."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        own = list(rules)
        self._keys = dict.fromkeys(KEYS, DEFAULT_REPLACEMENT)
        self._keys |= {r.expression.lower(): r.replacement for r in own if r.kind == "key" and r.expression}
        self._patterns = [(re.compile(r.expression), r.replacement) for r in own if r.kind == "pattern"]
        # An expression may ask for the end of a text or for what JSON writes otherwise, and so may a key.
        self._walk_all = bool(self._patterns) or not all(map(_stands_as_it_is, self._keys))
        # By first letter, most quotes are passed over after one look.
        by_letter = groupby(sorted(self._keys), key=lambda key: key[0])
        names = "|".join(
            f"{re.escape(letter)}(?:{'|'.join(re.escape(key[1:]) for key in keys)})"
            for letter, keys in by_letter
        )
        # A text that is JSON has its quotes and line ends escaped, once for each text it stands in.
        self._key_mark = re.compile(rf'"(?:{names})\\*"(?:\s|\\+[nrt])*:'.encode())

    def suspects(self, blob: bytes) -> bool:
        """Whether anything in the JSON bytes could match a rule."""
        return self._walk_all or self.shows(blob)

    def shows(self, blob: bytes) -> bool:
        """Whether a key or what a default pattern looks for can be seen in the bytes."""
        low = blob.lower()
        return _secret_shows(blob, low) or self._key_mark.search(low) is not None

    def clean(self, value: Any) -> Any:
        """Return the JSON value with everything replaced that a rule names."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        if isinstance(value, dict):
            return {self.clean_text(k): self._clean_member(k, v) for k, v in value.items()}
        return value

    def _clean_member(self, key: str, value: Any) -> Any:
        replacement = self._keys.get(key.lower())
        if replacement is None or value in (None, "", {}, []):
            return self.clean(value)
        return replacement

    def clean_text(self, text: str) -> str:
        """Return the text with matches replaced; a text that is JSON is cleaned as JSON too, or withheld when too deep."""
        inner = opened(text)
        if inner is not text:
            try:
                if (cleaned := self.clean(inner)) != inner:
                    text = orjson.dumps(cleaned).decode()
            except (RecursionError, TypeError):
                return FAILED
        raw = text.encode("utf-8", "surrogatepass")
        if _secret_shows(raw, raw.lower()):
            text = _DEFAULT.sub(DEFAULT_REPLACEMENT, text)
        for pattern, replacement in self._patterns:
            text = pattern.sub(replacement.replace("\\", r"\\"), text)
        return text


def _stands_as_it_is(key: str) -> bool:
    """Whether JSON writes the key in no other way than with its own letters."""
    return key.isascii() and orjson.dumps(key) == f'"{key}"'.encode()


class Redactor:
    """All rules, by project."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = list(rules)
        self._sets: dict[str, Ruleset] = {}
        self._common = Ruleset(r for r in self._rules if not r.project)
        self._projects = {r.project for r in self._rules if r.project}

    def for_project(self, project: str) -> Ruleset:
        """Return the rules that hold for a project."""
        if project not in self._projects:
            return self._common
        if project not in self._sets:
            self._sets[project] = Ruleset(r for r in self._rules if r.project in {"", project})
        return self._sets[project]
