"""The last step before the store, for every door: redact, then pack the parts of each trace into a chunk."""

from __future__ import annotations

import logging
from collections import defaultdict
from operator import attrgetter
from typing import Any

import orjson

from traces_app.ingest.decode_langsmith import quarantine
from traces_app.ingest.redact import FAILED, Redactor, Ruleset
from traces_app.store.pack import dump, pack
from traces_app.store.records import Attachment, Bundle, Chunk, Quarantined, RunPart, uuid_text

log = logging.getLogger(__name__)
_COLUMNS = ("name", "project", "thread_id", "model", "provider", "assistant_id")
_names = attrgetter(*_COLUMNS)


def seal(bundle: Bundle, redactor: Redactor) -> Bundle:
    """Redact and pack all that is in the bundle; after this it may be stored. What JSON cannot hold is quarantined."""
    by_trace: dict[tuple[bytes, str], list[RunPart]] = defaultdict(list)
    for part in bundle.parts:
        by_trace[part.trace_id, part.project].append(part)
    bundle.parts = []
    for (_trace, project), parts in by_trace.items():
        try:
            chunk = _chunk(parts, redactor.for_project(project))
        except (TypeError, ValueError):
            parts = _without_unsayable(parts, bundle.quarantined)
            if not parts:
                continue
            chunk = _chunk(parts, redactor.for_project(project))
        bundle.parts += parts
        bundle.chunks.append(chunk)
    common = redactor.for_project("")
    for attachment in bundle.attachments:
        _clean_attachment(attachment, common)
    for copy in bundle.copies:
        rules = redactor.for_project(copy.project)
        copy.name, copy.project = rules.clean_text(copy.name), rules.clean_text(copy.project)
    bundle.quarantined = [_clean_quarantined(q, common) for q in bundle.quarantined]
    return bundle


def _chunk(parts: list[RunPart], rules: Ruleset) -> Chunk:
    facts, payload = dump([part.facts for part in parts]), dump([part.payload for part in parts])
    names = "\n".join(set().union(*map(_names, parts)))
    if rules.suspects(payload) or rules.suspects(facts + names.encode()):
        facts, payload = _redacted(parts, facts, payload, rules)
    return pack(parts, facts, payload)


def _without_unsayable(parts: list[RunPart], quarantined: list[Quarantined]) -> list[RunPart]:
    sayable = []
    for part in parts:
        try:
            dump([part.facts]), dump([part.payload])
        except (TypeError, ValueError) as error:
            quarantined.append(quarantine("seal", f"value: {error}", uuid_text(part.run_id), b""))
        else:
            sayable.append(part)
    return sayable


def _redacted(parts: list[RunPart], facts: bytes, payload: bytes, rules: Ruleset) -> tuple[bytes, bytes]:
    told = zip(parts, orjson.loads(facts), orjson.loads(payload), strict=True)
    cleaned = [_clean_part(part, fact, values, rules) for part, fact, values in told]
    return dump([fact for fact, _ in cleaned]), dump([values for _, values in cleaned])


def _clean_part(part: RunPart, facts: Any, payload: Any, rules: Ruleset) -> tuple[Any, Any]:
    try:
        part.facts = rules.clean(facts)
        for column in _COLUMNS:
            setattr(part, column, rules.clean_text(getattr(part, column)))
        return orjson.Fragment(dump(part.facts)), orjson.Fragment(dump(rules.clean(payload)))
    except Exception:  # closed on failure: what could not be cleaned is not stored
        log.exception("redaction failed, values withheld")
        part.facts = {"error": FAILED} if facts.get("error") else {}
        part.name = part.thread_id = FAILED
        return part.facts, {"inputs": FAILED, "outputs": FAILED}


def _clean_attachment(attachment: Attachment, rules: Ruleset) -> None:
    if attachment.content_type.startswith("text/") or attachment.content_type == "application/json":
        text = attachment.data.decode("utf-8", "surrogateescape")
        attachment.data = rules.clean_text(text).encode("utf-8", "surrogateescape")


def _clean_quarantined(item: Quarantined, rules: Ruleset) -> Quarantined:
    item.reason, item.item = rules.clean_text(item.reason), rules.clean_text(item.item)
    # What is no valid JSON cannot be searched by key: when a key shows, nothing of it is kept.
    item.excerpt = FAILED if rules.shows(item.excerpt.encode()) else rules.clean_text(item.excerpt)
    return item
