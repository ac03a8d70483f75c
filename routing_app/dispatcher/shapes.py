"""Does an input keep a graph's shape: a fast yes, and a slow, exact no.

`accepts(schema)` compiles the everyday part of JSON Schema into plain functions. They may only say yes when
jsonschema would; on anything else jsonschema has the last word and names the place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

Check = Callable[[Any], bool]

#: Keywords that say nothing about validity.
_NOTES = {"$schema", "$id", "title", "description", "default", "examples", "$comment", "deprecated"}


def _is_int(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


_TYPES: dict[str, Check] = {
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "string": lambda value: type(value) is str,
    "integer": _is_int,
    "number": _is_number,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}


class InputShape:
    """One graph's input schema, compiled once per routing document."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = Draft202012Validator(schema)
        self._accepts = _compile(schema) or self._validator.is_valid

    def errors(self, value: Any) -> list[dict[str, str]]:
        """`[{"pointer": "/input/x", "message": …}]`, empty when the value keeps the shape; at most five."""
        if self._accepts(value):
            return []
        found = sorted(
            self._validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path))
        )
        return [
            {"pointer": _pointer(["input", *error.absolute_path]), "message": error.message[:300]}
            for error in found[:5]
        ]


def _pointer(parts: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _compile(schema: Any) -> Check | None:
    """A function that says yes only to valid values, or None when a keyword is beyond it."""
    if not isinstance(schema, Mapping):
        return None
    checks: list[Check] = []
    for keyword, given in schema.items():
        if keyword in _NOTES:
            continue
        if keyword == "additionalProperties":
            check = _additional(given, schema)
        else:
            compiler = _KEYWORDS.get(keyword)
            check = compiler(given) if compiler else None
        if check is None:
            return None
        checks.append(check)
    if len(checks) == 1:
        return checks[0]

    def check_all(value: Any) -> bool:
        for check in checks:  # noqa: SIM110 - `all` would need a generator for each request
            if not check(value):
                return False
        return True

    return check_all


def _type(given: Any) -> Check | None:
    names = [given] if isinstance(given, str) else given
    if not all(name in _TYPES for name in names):
        return None
    tests = [_TYPES[name] for name in names]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _properties(given: Mapping[str, Any]) -> Check | None:
    compiled = {name: _compile(schema) for name, schema in given.items()}
    if None in compiled.values():
        return None
    items = [(name, check) for name, check in compiled.items() if check is not None]

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return True
        for name, test in items:  # noqa: SIM110
            if name in value and not test(value[name]):
                return False
        return True

    return check


def _additional(given: Any, schema: Mapping[str, Any]) -> Check | None:
    if given is True:
        return lambda _: True
    if given is not False or "patternProperties" in schema:
        return None
    names = frozenset(schema.get("properties", ()))
    return lambda value: type(value) is not dict or value.keys() <= names


def _required(given: list[str]) -> Check:
    names = frozenset(given)
    return lambda value: type(value) is not dict or value.keys() >= names


def _items(given: Any) -> Check | None:
    test = _compile(given)
    if test is None:
        return None
    return lambda value: type(value) is not list or all(map(test, value))


def _enum(given: list[Any]) -> Check | None:
    if not all(type(member) is str for member in given):
        return None
    members = frozenset(given)
    return lambda value: type(value) is str and value in members


def _bound(test: Callable[[Any, Any], bool]) -> Callable[[Any], Check]:
    return lambda limit: lambda value: not _is_number(value) or test(value, limit)


def _length(kind: type[str] | type[list[Any]], test: Callable[[int, int], bool]) -> Callable[[Any], Check]:
    return lambda limit: lambda value: type(value) is not kind or test(len(value), limit)


_KEYWORDS: dict[str, Callable[[Any], Check | None]] = {
    "type": _type,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "enum": _enum,
    "minimum": _bound(lambda value, limit: value >= limit),
    "maximum": _bound(lambda value, limit: value <= limit),
    "minLength": _length(str, lambda size, limit: size >= limit),
    "maxLength": _length(str, lambda size, limit: size <= limit),
    "minItems": _length(list, lambda size, limit: size >= limit),
    "maxItems": _length(list, lambda size, limit: size <= limit),
}
