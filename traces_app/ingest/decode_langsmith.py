"""LangSmith runs as multipart parts, as batches and one by one → run parts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from traces_app.ingest.http import RefusedError
from traces_app.ingest.lift import clean_text, lift_metadata, lift_usage, tells_of_failure
from traces_app.store.pack import nested_too_deeply
from traces_app.store.records import (
    Attachment,
    Bundle,
    Kind,
    Quarantined,
    RunPart,
    Status,
    digest64,
    uuid_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from traces_app.ingest.multipart import FormPart

HEAVY = ("inputs", "outputs", "events", "extra", "error", "serialized")
RUN_TYPES = frozenset({"llm", "chain", "tool", "retriever", "embedding", "prompt", "parser"})
MAX_TAGS = 100
MAX_ERROR = 100_000
_KINDS = {"post": Kind.POST, "patch": Kind.PATCH}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_402_300_799_000_000  # the end of the year 9999
_EXCERPT = 2000
_ORDER = re.compile(r"^[0-9T]{8,24}Z([0-9a-fA-F-]{36})(?:\.|$)")


class BadItemError(ValueError):
    """One item cannot be stored; the message names the field."""


class LsRun(msgspec.Struct):
    """The body of a post or a patch. What may be heavy stays raw JSON."""

    id: str | None = None
    trace_id: str | None = None
    dotted_order: str | None = None
    parent_run_id: str | None = None
    name: str | None = None
    run_type: str | None = None
    start_time: str | int | float | None = None
    end_time: str | int | float | None = None
    session_name: str | None = None
    tags: list[Any] | None = None
    inputs: msgspec.Raw = msgspec.Raw(b"")
    outputs: msgspec.Raw = msgspec.Raw(b"")
    events: msgspec.Raw = msgspec.Raw(b"")
    extra: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")
    serialized: msgspec.Raw = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    post: list[msgspec.Raw] | None = None
    patch: list[msgspec.Raw] | None = None


class SentRun(msgspec.Struct):
    """What one message says about one run, still in bytes."""

    kind: int
    run_id: str
    body: bytes
    fields: dict[str, bytes] = msgspec.field(default_factory=dict)
    problem: str = ""


_decode_run = msgspec.json.Decoder(LsRun).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode


class Form(msgspec.Struct):
    """What a multipart body held, sorted by run."""

    runs: dict[tuple[int, str], SentRun] = msgspec.field(default_factory=dict)
    attachments: list[tuple[str, str, FormPart]] = msgspec.field(default_factory=list)
    feedback: list[tuple[str, bytes]] = msgspec.field(default_factory=list)
    quarantined: list[Quarantined] = msgspec.field(default_factory=list)


def read_form(parts: Iterator[FormPart]) -> Form:
    """Sort the parts of a multipart body. Raises `RefusedError` when the body as a whole is no multipart."""
    form = Form()
    for part in parts:
        what, _, rest = part.name.partition(".")
        run_id, _, field = rest.partition(".")
        if what in _KINDS and run_id and (not field or field in HEAVY):
            key = (_KINDS[what], run_id)
            if (sent := form.runs.get(key)) is None:
                sent = form.runs[key] = SentRun(*key, b"")
            sent.problem = sent.problem or part.problem
            if field:
                sent.fields[field] = part.data
            else:
                sent.body = part.data
        elif part.problem:
            form.quarantined.append(quarantine("multipart", part.problem, part.name, part.data))
        elif what == "attachment" and run_id and field:
            form.attachments.append((run_id, field, part))
        elif what == "feedback" and rest:
            form.feedback.append((rest, part.data))
        else:
            form.quarantined.append(quarantine("multipart", "part: unknown name", part.name, part.data))
    return form


def read_batch(body: bytes) -> list[SentRun]:
    """Return the runs of a `/runs/batch` body. Raises `RefusedError` 422."""
    try:
        batch = _decode_batch(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(422, f"body: {error}") from error
    posts = [SentRun(Kind.POST, "", bytes(raw)) for raw in batch.post or ()]
    return posts + [SentRun(Kind.PATCH, "", bytes(raw)) for raw in batch.patch or ()]


def decode_runs(sent: list[SentRun], bundle: Bundle, door: str, default_project: str) -> None:
    """Add a part for each run; what cannot be stored is quarantined with its reason."""
    for run in sent:
        try:
            bundle.parts.append(decode_run(run, default_project))
        except BadItemError as error:
            bundle.quarantined.append(quarantine(door, str(error), run.run_id, run.body))


def decode_run(sent: SentRun, default_project: str) -> RunPart:
    """Return the part of one message. Raises `BadItemError`."""
    if sent.problem:
        raise BadItemError(sent.problem)
    try:
        run = _decode_run(sent.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadItemError(f"run: {error}") from error
    raw = {name: sent.fields[name] if name in sent.fields else bytes(getattr(run, name)) for name in HEAVY}
    run_id = _id("id", run.id or sent.run_id)
    part = RunPart(
        trace_id=_trace_id(run, run_id),
        run_id=run_id,
        kind=sent.kind,
        digest=digest64(sent.body, *(raw[n] for n in HEAVY if n in sent.fields)),
        parent_id=_id("parent_run_id", run.parent_run_id) if run.parent_run_id else None,
        name=clean_text(run.name),
        run_type=_run_type(run),
        project=clean_text(run.session_name) or (default_project if sent.kind == Kind.POST else ""),
        start=_time("start_time", run.start_time),
        end=_time("end_time", run.end_time),
        facts={},
        payload={},
    )
    if part.parent_id is None and run.dotted_order:
        part.parent_id = _parent_of(run.dotted_order)
    _fill(part, run, raw)
    return part


def _fill(part: RunPart, run: LsRun, raw: dict[str, bytes]) -> None:
    values = {name: _json(name, raw[name]) for name in HEAVY if raw[name]}
    error = values.pop("error", None)
    extra = values.pop("extra", None) or {}
    if not isinstance(extra, dict):
        raise BadItemError("extra: must be an object")
    metadata = extra.pop("metadata", None) or {}
    if not isinstance(metadata, dict):
        raise BadItemError("extra.metadata: must be an object")
    for name in ("inputs", "outputs", "events", "serialized"):
        if values.get(name) is not None:
            part.payload[name] = orjson.Fragment(raw[name]) if values[name] else values[name]
    if extra:
        part.payload["extra"] = extra
    failed = False
    if error:
        text = error if isinstance(error, str) else raw["error"].decode()
        part.facts["error"] = text[:MAX_ERROR]
        failed = tells_of_failure(text)
    if metadata:
        part.facts["metadata"] = metadata
    if run.tags:
        part.facts["tags"] = list(dict.fromkeys(clean_text(t) for t in run.tags[:MAX_TAGS]))
    if run.dotted_order:
        part.facts["dotted_order"] = run.dotted_order[:20_000]
    part.status = Status.ERROR if failed else Status.OK if part.end is not None else Status.RUNNING
    lift_metadata(part, metadata)
    part.model = clean_text(metadata.get("ls_model_name"))
    part.provider = clean_text(metadata.get("ls_provider"))
    lift_usage(part, metadata.get("usage_metadata") or _usage_of(values.get("outputs")))
    part.first_token = _first_token(values.get("events"))


def _usage_of(outputs: Any) -> Any:
    """Return the usage inside outputs: as returned, or of the message of the first LangChain generation."""
    if not isinstance(outputs, dict):
        return None
    if "usage_metadata" in outputs:
        return outputs["usage_metadata"]
    try:
        message = outputs["generations"][0][0]["message"]
    except (KeyError, IndexError, TypeError):
        return None
    inner = message.get("kwargs", message) if isinstance(message, dict) else None
    return inner.get("usage_metadata") if isinstance(inner, dict) else None


def _first_token(events: Any) -> int | None:
    if isinstance(events, list):
        for event in events:
            if isinstance(event, dict) and event.get("name") == "new_token":
                try:
                    return _time("events", event.get("time"))
                except BadItemError:
                    return None
    return None


def _json(name: str, raw: bytes) -> Any:
    try:
        value = orjson.loads(raw)
    except ValueError as error:
        raise BadItemError(f"{name}: {error}") from error
    if name != "error" and nested_too_deeply(raw, value):
        raise BadItemError(f"{name}: nested too deeply")
    return value


def _id(name: str, text: str) -> bytes:
    try:
        return uuid_bytes(text)
    except ValueError:
        raise BadItemError(f"{name}: {text[:60]!r} is not a UUID") from None


def _trace_id(run: LsRun, run_id: bytes) -> bytes:
    """The trace a run says it is in: by name, else the first of its order; b"" when only the store may know."""
    if run.trace_id:
        return _id("trace_id", run.trace_id)
    if run.dotted_order:
        first = _ORDER.match(run.dotted_order)
        if first is None:
            raise BadItemError("dotted_order: does not begin with a time and a UUID")
        return _id("dotted_order", first[1])
    return b"" if run.parent_run_id or run.start_time is None else run_id


def _parent_of(dotted_order: str) -> bytes | None:
    segments = dotted_order.rsplit(".", 2)
    if len(segments) < 2:
        return None
    return _id("dotted_order", segments[-2].rpartition("Z")[2])


def _run_type(run: LsRun) -> str:
    kind = clean_text(run.run_type).lower()
    if kind and kind not in RUN_TYPES:
        raise BadItemError(f"run_type: {kind[:40]!r} is not one of {', '.join(sorted(RUN_TYPES))}")
    return kind


def _time(name: str, value: Any) -> int | None:
    """Return microseconds since 1970 of an ISO text (UTC when it names no zone) or of epoch milliseconds."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            delta = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
            us = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
        else:
            us = round(value * 1000)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadItemError(f"{name}: {str(value)[:60]!r} is not a time") from error
    if not 0 <= us <= _LAST_US:
        raise BadItemError(f"{name}: {str(value)[:60]!r} is not between the years 1970 and 9999")
    return us


def attach(form: Form, bundle: Bundle) -> None:
    """Add the attachments of a form to the runs they came with, or leave them for a look into the store."""
    traces = {p.run_id: p for p in bundle.parts}
    for run_id, name, part in form.attachments:
        try:
            owner = _id("attachment", run_id)
        except BadItemError as error:
            bundle.quarantined.append(quarantine("multipart", str(error), part.name, b""))
            continue
        sibling = traces.get(owner)
        if sibling is not None:
            sibling.facts.setdefault("attachments", []).append(clean_text(name))
        bundle.attachments.append(
            Attachment(
                trace_id=sibling.trace_id if sibling else b"",
                run_id=owner,
                name=clean_text(name),
                content_type=clean_text(part.content_type, 200),
                data=part.data,
            )
        )


def quarantine(door: str, reason: str, item: str, data: bytes) -> Quarantined:
    """Return what is kept of an item that was refused."""
    excerpt = data[:_EXCERPT].decode("utf-8", "replace")
    return Quarantined(
        door=door, reason=clean_text(reason), item=clean_text(item), excerpt=clean_text(excerpt, _EXCERPT)
    )
