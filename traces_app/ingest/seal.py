"""The last step before the store, for every door: redact, then pack the parts of each trace into a chunk."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any, NamedTuple

import orjson

from traces_app.ingest.decode_langsmith import quarantine
from traces_app.ingest.redact import FAILED, Redactor, Ruleset
from traces_app.store.pack import dump, joined, pack
from traces_app.store.records import Attachment, Bundle, Chunk, Quarantined, RunPart, uuid_text

log = logging.getLogger(__name__)
_COLUMNS = ("name", "project", "thread_id", "model", "provider", "assistant_id")


class _Dumped(NamedTuple):
    """A part with its facts and its payload as JSON."""

    part: RunPart
    facts: bytes
    payload: bytes


def seal(bundle: Bundle, redactor: Redactor) -> Bundle:
    """Redact and pack all that is in the bundle; after this it may be stored. What JSON cannot hold is quarantined."""
    by_trace: dict[tuple[bytes, str], list[_Dumped]] = defaultdict(list)
    for part in bundle.parts:
        try:
            dumped = _Dumped(part, dump(part.facts), dump(part.payload))
        except (TypeError, ValueError) as error:
            bundle.quarantined.append(quarantine("seal", f"value: {error}", uuid_text(part.run_id), b""))
            continue
        by_trace[part.trace_id, part.project].append(dumped)
    bundle.parts = [one.part for of_trace in by_trace.values() for one in of_trace]
    for (_trace, project), of_trace in by_trace.items():
        bundle.chunks.append(_chunk(of_trace, redactor.for_project(project)))
    common = redactor.for_project("")
    for attachment in bundle.attachments:
        _clean_attachment(attachment, common)
    for copy in bundle.copies:
        rules = redactor.for_project(copy.project)
        copy.name, copy.project = rules.clean_text(copy.name), rules.clean_text(copy.project)
    bundle.quarantined = [_clean_quarantined(q, common) for q in bundle.quarantined]
    return bundle


def _chunk(of_trace: list[_Dumped], rules: Ruleset) -> Chunk:
    parts = [one.part for one in of_trace]
    facts = joined([one.facts for one in of_trace])
    payload = joined([one.payload for one in of_trace])
    names = "\n".join({getattr(part, c) for c in _COLUMNS for part in parts})
    if rules.suspects(b"\n".join((facts, payload, names.encode()))):
        facts, payload = _redacted(parts, facts, payload, rules)
    for part in parts:
        part.payload = {}
    return pack(parts, facts, payload)


def _redacted(parts: list[RunPart], facts: bytes, payload: bytes, rules: Ruleset) -> tuple[bytes, bytes]:
    told = zip(parts, orjson.loads(facts), orjson.loads(payload), strict=True)
    cleaned = [_clean_part(part, fact, values, rules) for part, fact, values in told]
    return joined([fact for fact, _ in cleaned]), joined([values for _, values in cleaned])


def _clean_part(part: RunPart, facts: Any, payload: Any, rules: Ruleset) -> tuple[bytes, bytes]:
    try:
        part.facts = rules.clean(facts)
        for column in _COLUMNS:
            setattr(part, column, rules.clean_text(getattr(part, column)))
        return dump(part.facts), dump(rules.clean(payload))
    except Exception:  # closed on failure: what could not be cleaned is not stored
        log.exception("redaction failed, values withheld")
        part.facts = {"error": FAILED} if facts.get("error") else {}
        part.name = part.thread_id = FAILED
        return dump(part.facts), dump({"inputs": FAILED, "outputs": FAILED})


def _clean_attachment(attachment: Attachment, rules: Ruleset) -> None:
    if attachment.content_type.startswith("text/") or attachment.content_type == "application/json":
        text = attachment.data.decode("utf-8", "surrogateescape")
        attachment.data = rules.clean_text(text).encode("utf-8", "surrogateescape")


def _clean_quarantined(item: Quarantined, rules: Ruleset) -> Quarantined:
    item.reason, item.item = rules.clean_text(item.reason), rules.clean_text(item.item)
    # What is no valid JSON cannot be searched by key: when a key shows, nothing of it is kept.
    item.excerpt = FAILED if rules.suspects(item.excerpt.encode()) else item.excerpt
    return item
