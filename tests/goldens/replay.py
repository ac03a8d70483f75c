"""What our decoders make of a recorded request, as plain values."""

from __future__ import annotations

from typing import Any

import orjson

from traces_app.ingest.decode_langsmith import decode_runs, read_form
from traces_app.ingest.decode_otlp import decode_spans, read_protobuf
from traces_app.ingest.multipart import boundary_of, form_parts
from traces_app.store.pack import opened
from traces_app.store.records import Bundle, Kind, Status

_TEXTS = ("name", "run_type", "project", "assistant_id", "pool", "model", "provider", "start", "end")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def decoded(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """Return the parts of a request, in the order they came; raises AssertionError when one was refused."""
    bundle = Bundle(parts=[], quarantined=[])
    if content_type.startswith("multipart/"):
        form = read_form(form_parts(body, boundary_of(content_type)))
        bundle.quarantined.extend(form.quarantined)
        decode_runs(list(form.runs.values()), bundle, "multipart", "default")
    else:
        for spans in read_protobuf(body):
            decode_spans(spans, bundle, "default")
    assert not bundle.quarantined, bundle.quarantined
    return [_plain(part) for part in bundle.parts]


def _plain(part: Any) -> dict[str, Any]:
    ids = {name: held.hex() if (held := getattr(part, name)) else None for name in ("trace_id", "run_id")}
    said = {name: getattr(part, name) for name in (*_TEXTS, *_COUNTS)}
    payload = part.payload
    if part.kind == Kind.SPAN:  # as its reader does
        payload = {name: opened(value) for name, value in payload.items()}
    rest = orjson.loads(orjson.dumps({"facts": part.facts, "payload": payload}))
    kind, status = Kind(part.kind).name.lower(), Status(part.status).name.lower()
    return {
        **ids,
        "parent_id": part.parent_id.hex() if part.parent_id else None,
        "kind": kind,
        "status": status,
        **{name: value for name, value in said.items() if value not in (None, "")},
        **rest,
    }
