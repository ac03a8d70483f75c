"""The doors of LangSmith's API that write: runs, feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traces_app.ingest.decode_langsmith import (
    Form,
    SentRun,
    attach,
    decode_runs,
    read_batch,
    read_form,
)
from traces_app.ingest.http import Answer, RefusedError, Request
from traces_app.ingest.inflate import read_body
from traces_app.ingest.lift import confine
from traces_app.ingest.multipart import boundary_of, form_parts
from traces_app.store.records import Attachment, Bundle, Kind, RunPart

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest

ACCEPTED = Answer(202)
INFO = Answer.json(
    {
        "version": "0.30.0",
        "license_expiration_time": None,
        # All six or none: with some of them missing the Python SDK's tracing thread dies.
        "batch_ingest_config": {
            "use_multipart_endpoint": True,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        },
        "instance_flags": {"zstd_compression_enabled": True, "gzip_body_enabled": True},
    }
)


class LangSmithDoor:
    """Runs in any of the forms the SDKs have; each request is one bundle, stored or refused as a whole."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def info(self, _request: Request) -> Answer:
        """What the SDKs ask first; needs no key."""
        return INFO

    async def metadata(self, request: Request) -> Answer:
        """`POST /v1/metadata/submit`: usage reports of LangGraph servers, with the key in the body. Read and forgotten."""
        with self._ingest.admission.room_for(request):
            await read_body(request, self._ingest.config.max_body)
        return Answer(204, b"")

    async def multipart(self, request: Request) -> Answer:
        """`POST /runs/multipart`."""
        if request.media_type != "multipart/form-data":
            raise RefusedError(415, "content-type: must be multipart/form-data")
        boundary = boundary_of(request.headers["content-type"])
        with self._ingest.admission.room_for(request):
            form = read_form(form_parts(await self._ingest.body(request), boundary))
            await self._store(request, list(form.runs.values()), "multipart", form)
        return ACCEPTED

    async def batch(self, request: Request) -> Answer:
        """`POST /runs/batch`."""
        with self._ingest.admission.room_for(request):
            await self._store(request, read_batch(await self._ingest.body(request)), "batch")
        return ACCEPTED

    async def post_run(self, request: Request) -> Answer:
        """`POST /runs`."""
        return await self._one(request, SentRun(Kind.POST, "", b""))

    async def patch_run(self, request: Request) -> Answer:
        """`PATCH /runs/{id}`."""
        return await self._one(request, SentRun(Kind.PATCH, request.args["id"], b""))

    async def _one(self, request: Request, sent: SentRun) -> Answer:
        with self._ingest.admission.room_for(request):
            sent.body = await self._ingest.body(request)
            bundle = await self._store(request, [sent], "runs", refuse=True)
        return Answer.json({"message": "Run accepted", "quarantined": len(bundle.quarantined)}, 202)

    async def _store(
        self,
        request: Request,
        sent: list[SentRun],
        door: str,
        form: Form | None = None,
        *,
        refuse: bool = False,
    ) -> Bundle:
        bundle = Bundle()
        decode_runs(sent, bundle, door, self._ingest.config.default_project)
        confine(bundle, request.key.project)
        if refuse and bundle.quarantined:
            raise RefusedError(422, bundle.quarantined[0].reason)
        if form is not None:
            attach(form, bundle)
            bundle.quarantined += form.quarantined
            self._ingest.feedback.add(form.feedback, bundle, request.key.project)
        await self._find_traces(bundle)
        await self._ingest.store(bundle)
        return bundle

    async def _find_traces(self, bundle: Bundle) -> None:
        """Look up the trace of what names none; a run nobody knows is taken for the root of its own trace."""
        everything: list[RunPart | Attachment] = [*bundle.parts, *bundle.attachments]
        homeless = [item for item in everything if not item.trace_id]
        if not homeless:
            return
        traces = {p.run_id: p.trace_id for p in bundle.parts if p.trace_id}
        missing = [x.run_id for x in homeless if x.run_id not in traces]
        traces |= await self._ingest.reads.traces_of_runs(missing)
        for item in homeless:
            item.trace_id = traces.get(item.run_id, item.run_id)
