"""What may not be stored: rules as data, applied in one place, whatever door it came through.

A cheap look at the finished JSON decides whether anything could match; only then is it walked value by value. When
the walk itself fails, the values are dropped and not stored unredacted.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import hyperscan
import msgspec
import orjson

from traces_app.store.pack import opened

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)
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
_DEFAULT = re.compile("|".join(PATTERNS))


def _named(keys: Iterable[str], quote: str) -> str:
    """What shows in JSON when a value stands under one of the keys.

    A text that is JSON has its quotes and line ends escaped, once for each text it stands in.
    """
    return rf'"(?:{"|".join(map(re.escape, keys))}){quote}(?:\s|\\+[nrt])*:'


def _look_for_defaults() -> hyperscan.Database:
    """All that a default rule could match, as it shows in JSON, for one pass over the bytes."""
    # In JSON, the letter before a word may be that of a line end.
    secrets = [pattern.replace(r"\b", "") for pattern in PATTERNS]
    # And a letter that is spelled as its number could be one of any rule.
    once = dict.fromkeys([*secrets, r"\\u00[2-7]"], hyperscan.HS_FLAG_SINGLEMATCH)
    # Words that end in a quote are looked for three times as fast as those that may end in a backslash as well.
    for quote in ('"', r'\\+"'):
        once[_named(KEYS, quote)] = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS
    look = hyperscan.Database()
    look.compile(expressions=[expression.encode() for expression in once], flags=list(once.values()))
    return look


_LOOK = _look_for_defaults()
#: A scan writes into a space that one thread may use at a time; pages and ingest share a process.
_OWN = threading.local()


def _stop(*_match: object) -> bool:
    return True


def _default_shows(blob: bytes) -> bool:
    """Whether a default rule could match in the bytes."""
    scratch = getattr(_OWN, "scratch", None)
    if scratch is None:
        scratch = _OWN.scratch = hyperscan.Scratch(_LOOK)
    try:
        _LOOK.scan(blob, match_event_handler=_stop, scratch=scratch)
    except hyperscan.ScanTerminated:
        return True
    return False


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
        named = {r.expression.lower(): r.replacement for r in own if r.kind == "key" and r.expression}
        self._keys |= named
        self._patterns = [(re.compile(r.expression), r.replacement) for r in own if r.kind == "pattern"]
        # An expression may ask for the end of a text or for what JSON writes otherwise, and so may a key.
        self._walk_all = bool(self._patterns) or not all(map(_stands_as_it_is, named))
        self._own_keys = re.compile(_named(named, r'\\*"').encode()) if named else None

    def suspects(self, blob: bytes) -> bool:
        """Whether anything in the JSON bytes could match a rule."""
        return self._walk_all or self.shows(blob)

    def shows(self, blob: bytes) -> bool:
        """Whether a key or what a default pattern looks for can be seen in the bytes."""
        return _default_shows(blob) or (
            self._own_keys is not None and self._own_keys.search(blob.lower()) is not None
        )

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
        if _default_shows(text.encode("utf-8", "surrogatepass")):
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


def valid_rules(rows: Iterable[tuple[str, str, str, str]]) -> list[Rule]:
    """The rules of these rows, in the order of a rule's fields; one that is no regular expression is told and left out."""
    rules = []
    for row in rows:
        rule = Rule(*row)
        try:
            if rule.kind == "pattern":
                re.compile(rule.expression)
        except re.error as error:
            log.error("redaction rule %r is no regular expression: %s", rule.expression, error)
            continue
        rules.append(rule)
    return rules
