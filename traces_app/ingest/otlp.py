"""The OTLP/HTTP door. Whatever comes, the answer is in the sender's own content type and never 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from traces_app.ingest.decode_otlp import decode_spans, read_json, read_protobuf
from traces_app.ingest.http import JSON, Answer, RefusedError, Request
from traces_app.ingest.lift import confine
from traces_app.store.records import Bundle

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest

PROTOBUF = "application/x-protobuf"
_TYPES = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}


class OtlpDoor:
    """`POST …/v1/traces`."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def traces(self, request: Request) -> Answer:
        """Store the spans; those that cannot be are quarantined and counted in the answer."""
        media_type = _TYPES.get(request.media_type)
        if media_type is None:
            raise RefusedError(415, f"content-type: must be {PROTOBUF} or {JSON}")
        with self._ingest.admission.room_for(request):
            body = await self._ingest.body(request)
            project = request.headers.get("langsmith-project") or self._ingest.config.default_project
            sealed = Bundle()
            for spans in read_protobuf(body) if media_type == PROTOBUF else read_json(body):
                bundle = Bundle()
                decode_spans(spans, bundle, project[:500])
                confine(bundle, request.key.project)
                sealed.add(self._ingest.seal(bundle))
            await self._ingest.commits.commit(sealed)
        return _answer(media_type, [q.reason for q in sealed.quarantined])


def _answer(media_type: str, reasons: list[str]) -> Answer:
    if media_type == JSON:
        rejected = {"rejectedSpans": str(len(reasons)), "errorMessage": reasons[0]} if reasons else None
        return Answer(200, orjson.dumps({"partialSuccess": rejected} if rejected else {}), JSON)
    response = ExportTraceServiceResponse()
    if reasons:
        response.partial_success.CopyFrom(
            ExportTracePartialSuccess(rejected_spans=len(reasons), error_message=reasons[0])
        )
    return Answer(200, response.SerializeToString(), PROTOBUF)
