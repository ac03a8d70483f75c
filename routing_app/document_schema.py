"""JSON Schema of the routing document, made from the TypedDicts that the contract itself checks by."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints, is_typeddict

from contract import routing_document as contract

#: What a TypedDict cannot say.
DETAILS: dict[tuple[str, str], dict[str, Any]] = {
    ("RoutingDocument", "schema"): {"const": contract.SCHEMA},
    ("RoutingDocument", "version"): {"minimum": 1},
    ("RoutingDocument", "digest"): {"pattern": "^[0-9a-f]{64}$"},
    ("RoutingDocument", "published_at"): {"format": "date-time"},
    ("Route", "prefix"): {"pattern": "^[A-Z][A-Z0-9_]{0,30}$"},
    ("Route", "secret_env"): {"pattern": "^([A-Z][A-Z0-9_]{0,99})?$"},
    ("GraphEntry", "graph_digest"): {"pattern": "^([0-9a-f]{64})?$"},
    ("GraphEntry", "sampling"): {"minimum": 0, "maximum": 1},
    ("Sampling", "default"): {"minimum": 0, "maximum": 1},
}


def render() -> str:
    """The schema's text, as it is committed."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Published routing document",
        "description": "SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8, whole numbers without a point) "
        "of everything but version, digest and published_at is the digest.",
        **_object(contract.RoutingDocument),
    }
    return json.dumps(schema, indent=2) + "\n"


def _object(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        "type": "object",
        "properties": {
            name: {**_schema(hint), **DETAILS.get((kind.__name__, name), {})} for name, hint in hints.items()
        },
        "required": list(hints),
        "additionalProperties": False,
    }


def _schema(hint: Any) -> dict[str, Any]:
    if is_typeddict(hint):
        return _object(hint)
    plain = {int: "integer", float: "number", str: "string", bool: "boolean"}
    if hint in plain:
        return {"type": plain[hint]}
    args = get_args(hint)
    if getattr(hint, "__origin__", None) is list:
        return {"type": "array", "items": _schema(args[0])}
    if getattr(hint, "__origin__", None) is dict:
        return (
            {"type": "object"}
            if args[1] is Any
            else {"type": "object", "additionalProperties": _schema(args[1])}
        )
    return {"type": [_schema(arg)["type"] if arg is not type(None) else "null" for arg in args]}
