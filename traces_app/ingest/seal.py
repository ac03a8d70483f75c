"""The last step before the store, for every door: redact, then pack the parts of each trace into a chunk."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

from traces_app.ingest.redact import FAILED, Redactor, Ruleset
from traces_app.store.pack import dump, pack

if TYPE_CHECKING:
    from traces_app.store.records import Attachment, Bundle, Quarantined, RunPart

log = logging.getLogger(__name__)
_COLUMNS = ("name", "project", "thread_id", "model", "provider", "assistant_id")


def seal(bundle: Bundle, redactor: Redactor) -> Bundle:
    """Redact and pack all that is in the bundle; after this it may be stored."""
    by_trace: dict[tuple[bytes, str], list[RunPart]] = defaultdict(list)
    for part in bundle.parts:
        by_trace[part.trace_id, part.project].append(part)
    for (_trace, project), parts in by_trace.items():
        facts, payload = _redacted(parts, redactor.for_project(project))
        bundle.chunks.append(pack(parts, facts, payload))
        for part in parts:
            part.payload = {}
    common = redactor.for_project("")
    for attachment in bundle.attachments:
        _clean_attachment(attachment, common)
    for copy in bundle.copies:
        rules = redactor.for_project(copy.project)
        copy.name, copy.project = rules.clean_text(copy.name), rules.clean_text(copy.project)
    bundle.quarantined = [_clean_quarantined(q, common) for q in bundle.quarantined]
    return bundle


def _redacted(parts: list[RunPart], rules: Ruleset) -> tuple[bytes, bytes]:
    facts, payload = dump([p.facts for p in parts]), dump([p.payload for p in parts])
    columns = dump([[getattr(p, c) for c in _COLUMNS] for p in parts])
    if not (rules.suspects(facts) or rules.suspects(payload) or rules.suspects(columns)):
        return facts, payload
    try:
        for part, fact in zip(parts, rules.clean(orjson.loads(facts)), strict=True):
            part.facts = fact
            for column in _COLUMNS:
                setattr(part, column, rules.clean_text(getattr(part, column)))
        return dump([p.facts for p in parts]), dump(rules.clean(orjson.loads(payload)))
    except Exception:  # closed on failure: what could not be cleaned is not stored
        log.exception("redaction failed, values withheld")
        for part in parts:
            part.facts = {"error": FAILED} if part.facts.get("error") else {}
            part.name = part.thread_id = FAILED
        return dump([p.facts for p in parts]), dump([{"inputs": FAILED, "outputs": FAILED} for _ in parts])


def _clean_attachment(attachment: Attachment, rules: Ruleset) -> None:
    if attachment.content_type.startswith("text/") or attachment.content_type == "application/json":
        text = attachment.data.decode("utf-8", "surrogateescape")
        attachment.data = rules.clean_text(text).encode("utf-8", "surrogateescape")


def _clean_quarantined(item: Quarantined, rules: Ruleset) -> Quarantined:
    item.reason, item.item = rules.clean_text(item.reason), rules.clean_text(item.item)
    # What is no valid JSON cannot be searched by key: when a key shows, nothing of it is kept.
    item.excerpt = FAILED if rules.suspects(item.excerpt.encode()) else item.excerpt
    return item
