"""The committed JSON Schema says what the contract's own parser says."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from contract.routing_document import digest, parse
from routing_app.document_schema import render
from routing_app.services.document import GraphFacts, PoolFacts, build_content

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_committed_schema_is_fresh_and_accepts_what_the_parser_accepts() -> None:
    committed = (ROOT / "docs/reference/routing-document.schema.json").read_text(encoding="utf-8")
    assert committed == render()
    content = build_content(
        [PoolFacts("CORE", ("http://a",)), PoolFacts("X", ("http://b",), "X_SECRET")], [GraphFacts("g", "X")]
    )
    document = {
        **content,
        "version": 1,
        "digest": digest(content),
        "published_at": "2026-11-22T12:00:00+00:00",
    }
    validator = Draft202012Validator(json.loads(committed))
    validator.validate(parse(document))
    assert not validator.is_valid({**document, "extra": 1})
    assert not validator.is_valid({**document, "version": 0})
