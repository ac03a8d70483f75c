"""Feedback through LangSmith's API: parts of a multipart body, and the calls of the SDKs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from feedback_app.store import (
    ECHO_HEADER,
    ECHO_MARK,
    FeedbackError,
    FeedbackRecord,
    check_key,
    record_from_langsmith,
)
from traces_app.ingest.decode_langsmith import quarantine
from traces_app.ingest.http import Answer, RefusedError, Request, json_object
from traces_app.ingest.langsmith_reads import digits
from traces_app.store import reader
from traces_app.store.records import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from traces_app.ingest.asgi import Ingest

_COLUMNS = (
    "id::text, run_id::text, trace_id::text, key, score, value, comment, correction, source, source_metadata, rater,"
    " created_at, modified_at"
)
_ONE = (
    f"SELECT {_COLUMNS} FROM feedback_app_feedback"  # noqa: S608 - constants
    " WHERE id = %(id)s AND retracted_at IS NULL AND (%(project)s = '' OR project = %(project)s)"
)
_LIST = (
    f"SELECT {_COLUMNS} FROM feedback_app_feedback WHERE retracted_at IS NULL"  # noqa: S608 - constants
    " AND run_id = ANY(%(runs)s::uuid[]) AND (%(project)s = '' OR project = %(project)s)"
    " AND (%(keys)s::text[] IS NULL OR key = ANY(%(keys)s))"
    " AND (%(sources)s::text[] IS NULL OR CASE source WHEN 'model' THEN 'model' ELSE 'api' END = ANY(%(sources)s))"
    " ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s"
)
_RETRACT = (
    "UPDATE feedback_app_feedback SET retracted_at = now(), modified_at = now()"
    " WHERE id = %(id)s AND retracted_at IS NULL AND (%(project)s = '' OR project = %(project)s) RETURNING id"
)


class FeedbackDoor:
    """Every write goes through `feedback_app.store` in the transaction of its request."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def add(self, items: list[tuple[str, bytes]], bundle: Bundle, project: str = "") -> None:
        """Add the feedback parts of a multipart body; a bad one is quarantined."""
        for feedback_id, raw in items:
            try:
                bundle.feedback.append(self._record({"id": feedback_id, **json_object(raw)}, project))
            except (FeedbackError, RefusedError) as error:
                bundle.quarantined.append(quarantine("feedback", str(error), feedback_id, raw))

    async def create(self, request: Request) -> Answer:
        """`POST /feedback`."""
        return await self._store(request, lambda body: body)

    async def update(self, request: Request) -> Answer:
        """`PATCH /feedback/{id}`."""
        row = await self._find(request)
        if _is_echo(request, row):
            return Answer.json(_json(row))
        held = {**_json(row), "modified_at": datetime.now(UTC).isoformat()}
        return await self._store(request, lambda body: {**held, **body, "id": held["id"]})

    async def read(self, request: Request) -> Answer:
        """`GET /feedback/{id}`."""
        return Answer.json(_json(await self._find(request)))

    async def list(self, request: Request) -> Answer:
        """`GET /feedback?run=…&key=…&source=…&limit=&offset=`."""
        query = request.query()
        runs = query.get("run", [])
        for run in runs:
            if not reader.valid_uuid(run):
                raise RefusedError(422, "run: must be a UUID")
        given = {
            "runs": runs,
            "keys": query.get("key"),
            # Python's SDK writes a member of its enumeration as it prints.
            "sources": [s.rpartition(".")[2].lower() for s in query.get("source", [])] or None,
            "project": request.key.project,
            "limit": min(int(digits(query, "limit", "100")), 100),
            "offset": int(digits(query, "offset", "0")),
        }

        def read(cur: Any) -> Any:
            cur.execute(_LIST, given)
            return cur.fetchall()

        return Answer.json([_json(row) for row in await self._ingest.reads.run(read)])

    async def delete(self, request: Request) -> Answer:
        """`DELETE /feedback/{id}`: retracted, its history stays."""
        if _is_echo(request, await self._find(request)):
            return Answer.json({"message": "kept: this row is the source of what was delivered"})
        row = await self._fetch(request, _RETRACT)
        if row is None:
            raise RefusedError(404, "feedback not found")
        return Answer.json({"message": "deleted"})

    async def _store(self, request: Request, shape: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
        with self._ingest.admission.room_for(request):
            body = json_object(await self._ingest.body(request))
        try:
            record = self._record(shape(body), request.key.project)
        except FeedbackError as error:
            raise RefusedError(422, str(error)) from error
        await self._ingest.store(Bundle(feedback=[record]))
        request.args["id"] = record.id
        return Answer.json(_json(await self._find(request)))

    async def put(self, body: dict[str, Any], project: str) -> None:
        """Store one feedback. Raises `RefusedError` 422."""
        try:
            record = self._record(body, project)
        except FeedbackError as error:
            raise RefusedError(422, str(error)) from error
        await self._ingest.store(Bundle(feedback=[record]))

    def _record(self, body: dict[str, Any], project: str) -> FeedbackRecord:
        record = record_from_langsmith(body, project=project)
        if not record.is_echo:
            check_key(record, self._ingest.reference.feedback_keys.get(record.key))
        rules = self._ingest.reference.redactor.for_project(project)
        return replace(
            record,
            value=rules.clean(record.value),
            comment=rules.clean_text(record.comment),
            correction=rules.clean(record.correction),
        )

    async def _find(self, request: Request) -> Any:
        row = await self._fetch(request, _ONE)
        if row is None:
            raise RefusedError(404, "feedback not found")
        return row

    async def _fetch(self, request: Request, statement: str) -> Any:
        def read(cur: Any) -> Any:
            cur.execute(statement, {"id": request.args["id"], "project": request.key.project})
            return cur.fetchone()

        return await self._ingest.reads.run(read)


def _is_echo(request: Request, row: Any) -> bool:
    """Whether a delivery came back to the row it was made from; a copy from elsewhere carries the mark."""
    return ECHO_HEADER in request.headers and ECHO_MARK not in (row[9] or {})


def _json(row: Any) -> dict[str, Any]:
    (
        identity,
        run_id,
        trace_id,
        key,
        score,
        value,
        comment,
        correction,
        source,
        metadata,
        rater,
        made,
        changed,
    ) = row
    return {
        "id": identity,
        "run_id": run_id,
        "trace_id": trace_id or run_id,
        "key": key,
        "score": score,
        "value": value,
        "comment": comment or None,
        "correction": correction,
        "feedback_source": {
            "type": "model" if source == "model" else "api",
            "metadata": metadata,
            "user_name": rater or None,
        },
        "created_at": made.isoformat(),
        "modified_at": changed.isoformat(),
    }
