"""The OTLP/HTTP door. Whatever comes, the answer is in the sender's own content type and never 500."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from traces_app.ingest.decode_otlp import Span, decode_spans, is_copy, read_json, read_protobuf
from traces_app.ingest.http import JSON, Answer, RefusedError, Request
from traces_app.ingest.lift import confine
from traces_app.store.records import Bundle, Kind, RunPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from traces_app.ingest.asgi import Ingest

PROTOBUF = "application/x-protobuf"
_TYPES = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}


class RecentRuns:
    """Runs that came through LangSmith's API lately, by what their OTLP copies share with them.

    No attribute of a copy holds the run's id; name, project and the exact start are the same in both.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._size = size

    def add(self, parts: list[RunPart]) -> None:
        """Remember the runs of a bundle."""
        for part in parts:
            if part.kind == Kind.POST and part.start is not None:
                self._seen[part.project, part.name, part.start] = None
        while len(self._seen) > self._size:
            self._seen.popitem(last=False)

    def knows(self, project: str, name: str, start: int) -> bool:
        """Whether a run of this name began in this project in just this microsecond."""
        return (project, name, start) in self._seen


class OtlpDoor:
    """`POST …/v1/traces`."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self.recent_runs = RecentRuns()

    async def traces(self, request: Request) -> Answer:
        """Store the spans; those that cannot be are quarantined and counted in the answer."""
        media_type = _TYPES.get(request.media_type)
        if media_type is None:
            raise RefusedError(415, f"content-type: must be {PROTOBUF} or {JSON}")
        with self._ingest.admission.room_for(request):
            body = await self._ingest.body(request)
            spans = read_protobuf(body) if media_type == PROTOBUF else read_json(body)
            bundle = Bundle()
            project = request.headers.get("langsmith-project") or self._ingest.config.default_project
            reason = decode_spans(self._without_copies(spans, project), bundle, project[:500])
            confine(bundle, request.key.project)
            rejected = len(bundle.quarantined)
            await self._ingest.store(bundle)
        return _answer(media_type, rejected, reason)

    def _without_copies(
        self, spans: Iterator[Span] | Iterator[Span | str], project: str
    ) -> Iterator[Span | str]:
        for span in spans:
            if isinstance(span, str) or not is_copy(span) or not self._is_known(span, project):
                yield span

    def _is_known(self, span: Span, project: str) -> bool:
        named = str(span.attributes.get("langsmith.trace.session_name") or project)
        start = (span.start + 500) // 1000  # the SDK gets its nanoseconds through a float, some hundred off
        return self.recent_runs.knows(named, span.name, start)


def _answer(media_type: str, rejected: int, reason: str) -> Answer:
    if media_type == JSON:
        partial = (
            {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reason}} if rejected else {}
        )
        return Answer(200, orjson.dumps(partial), JSON)
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.CopyFrom(
            ExportTracePartialSuccess(rejected_spans=rejected, error_message=reason)
        )
    return Answer(200, response.SerializeToString(), PROTOBUF)
