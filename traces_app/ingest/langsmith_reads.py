"""What the LangSmith SDKs read back: runs, projects, settings, attachments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson
from psycopg import sql

from traces_app.ingest.http import Answer, RefusedError, Request
from traces_app.store import reader
from traces_app.store.writer import ADD_PROJECTS, project_id

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest
    from traces_app.rows import RunPayload, RunRow

TENANT = "00000000-0000-4000-8000-000000000001"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LIMIT = 100
_STATUS = {"ok": "success", "error": "error", "running": "pending"}
# Order and cursor are (first seen, trace id), so pages do not shift while runs arrive.
TRACES = """
SELECT trace_id::text, seen_at FROM traces_app_tracehead
WHERE project = ANY(%(projects)s) AND (%(after)s::timestamptz IS NULL OR (seen_at, trace_id) < (%(after)s, %(after_id)s))
ORDER BY seen_at DESC, trace_id DESC LIMIT %(limit)s
"""


class LangSmithReads:
    """Each key reads its own project, a key without a project reads all."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def settings(self, _request: Request) -> Answer:
        """`GET /settings`."""
        return Answer.json({"id": TENANT, "display_name": "agentic-sales", "created_at": _EPOCH})

    async def run(self, request: Request) -> Answer:
        """`GET /runs/{id}`."""
        found = await self._ingest.reads.run(lambda cur: _load(cur, [request.args["id"]]))
        mine = [run for run in found if _may_read(request, run[0])]
        if not mine:
            raise RefusedError(404, "run not found")
        return Answer.json(_run_json(*mine[0]))

    async def attachment(self, request: Request) -> Answer:
        """`GET /runs/{id}/attachments/{name}`."""
        run_id, name = request.args["id"], unquote(request.args["name"])
        runs = await self._ingest.reads.run(lambda cur: reader.load_runs_by_id(cur, [run_id]))
        if not any(_may_read(request, run) for run in runs):
            raise RefusedError(404, "attachment not found")
        found = await self._ingest.reads.run(lambda cur: reader.load_attachment(cur, run_id, name))
        if found is None:
            raise RefusedError(404, "attachment not found")
        # Never rendered by a browser at our origin, whatever it says it is.
        headers = (
            (b"content-disposition", b"attachment"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"sandbox"),
        )
        return Answer(200, found[1], found[0], headers)

    async def query(self, request: Request) -> Answer:
        """`POST /runs/query`."""
        runs, cursor = await self._query(request)
        return Answer.json({"runs": runs, "cursors": {"next": cursor}})

    async def query_v2(self, request: Request) -> Answer:
        """`POST /api/v2/runs/query`."""
        runs, cursor = await self._query(request)
        return Answer.json({"items": runs, "next_cursor": cursor})

    async def _query(self, request: Request) -> tuple[list[dict[str, Any]], str | None]:
        with self._ingest.admission.room_for(request):
            body = json_object(await self._ingest.body(request))
        wanted = _Wanted.of(body)
        runs, cursor = await self._ingest.reads.run(lambda cur: wanted.load(cur, request))
        return [_run_json(*run) for run in runs], cursor

    async def sessions(self, request: Request) -> Answer:
        """`GET /sessions?name=&limit=&offset=`."""
        query = request.query()
        names = query.get("name") or ([request.key.project] if request.key.project else [])
        limit = min(int(digits(query, "limit", "100")), _MAX_LIMIT)
        offset = int(digits(query, "offset", "0"))

        def read(cur: Any) -> list[Any]:
            where = sql.SQL("WHERE name = ANY(%(names)s)") if names else sql.SQL("")
            statement = sql.SQL(
                "SELECT id::text, name, created_at, description, extra FROM traces_app_project {}"
                " ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s"
            ).format(where)
            cur.execute(statement, {"names": names, "limit": limit, "offset": offset})
            return list(cur.fetchall())

        rows = await self._ingest.reads.run(read)
        return Answer.json([_session(r) for r in rows if request.key.project in {"", r[1]}])

    async def session(self, request: Request) -> Answer:
        """`GET /sessions/{id}`."""

        def read(cur: Any) -> Any:
            cur.execute(
                "SELECT id::text, name, created_at, description, extra FROM traces_app_project WHERE id = %s",
                (request.args["id"],),
            )
            return cur.fetchone()

        row = await self._ingest.reads.run(read)
        if row is None or request.key.project not in {"", row[1]}:
            raise RefusedError(404, "session not found")
        return Answer.json(_session(row))

    async def create_session(self, request: Request) -> Answer:
        """`POST /sessions`: a project's id is derived from its name, whatever the body says."""
        with self._ingest.admission.room_for(request):
            body = json_object(await self._ingest.body(request))
        name = body.get("name")
        if not isinstance(name, str) or not name or len(name) > 500 or "\0" in name:
            raise RefusedError(422, "name: must be a text of 1 to 500 characters")
        await self._ingest.reads.run(lambda cur: cur.execute(ADD_PROJECTS, ([project_id(name)], [name])))
        return Answer.json(_session((project_id(name), name, datetime.now(UTC), "", {})))


class _Wanted:
    """The filters of a query that are understood."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.ids = _ids(body, "id")
        self.trace = next(iter(_ids(body, "trace") or _ids(body, "trace_id")), None)
        self.sessions = _ids(body, "session") or _ids(body, "project_ids")
        self.is_root = body.get("is_root")
        self.run_type = body.get("run_type")
        self.error = body.get("error")
        self.parent = next(iter(_ids(body, "parent_run")), None)
        limit = body.get("limit") or body.get("page_size") or _MAX_LIMIT
        if not isinstance(limit, int) or limit < 1:
            raise RefusedError(422, "limit: must be a whole number from 1")
        self.limit = min(limit, _MAX_LIMIT)
        self.after: tuple[str, str] | None = None
        if body.get("cursor"):
            seen_at, _, trace_id = str(body["cursor"]).partition("|")
            try:
                datetime.fromisoformat(seen_at)
            except ValueError:
                raise RefusedError(422, "cursor: not one of ours") from None
            if not reader.valid_uuid(trace_id):
                raise RefusedError(422, "cursor: not one of ours")
            self.after = (seen_at, trace_id)

    @classmethod
    def of(cls, body: dict[str, Any]) -> _Wanted:
        """Read a body. Raises `RefusedError` 422."""
        return cls(body)

    def load(self, cur: Any, request: Request) -> tuple[list[tuple[RunRow, RunPayload]], str | None]:
        """Return the runs that fit, newest first, and the cursor of the next page."""
        cursor = None
        if self.ids:
            rows = reader.load_runs_by_id(cur, self.ids)
        elif self.trace:
            rows = reader.load_runs(cur, [self.trace])
        else:
            rows, cursor = self._of_sessions(cur)
        rows = [r for r in rows if self._fits(r) and _may_read(request, r)]
        if not cursor:
            rows = rows[: self.limit] if not (self.ids or self.trace) else rows
        payloads = reader.load_payloads(cur, [r.run_id for r in rows])
        rows.sort(key=lambda r: r.start or _EPOCH, reverse=True)
        return [(r, payloads[r.run_id]) for r in rows], cursor

    def _of_sessions(self, cur: Any) -> tuple[list[RunRow], str | None]:
        cur.execute("SELECT name FROM traces_app_project WHERE id = ANY(%s::uuid[])", (self.sessions,))
        projects = [row[0] for row in cur.fetchall()]
        after, after_id = self.after or (None, None)
        given = {"projects": projects, "after": after, "after_id": after_id, "limit": self.limit}
        cur.execute(TRACES, given)
        heads = cur.fetchall()
        rows = reader.load_runs(cur, [h[0] for h in heads])
        full = len(heads) == self.limit
        return rows, f"{heads[-1][1].isoformat()}|{heads[-1][0]}" if full else None

    def _fits(self, run: RunRow) -> bool:
        return (
            (self.is_root is not True or run.parent_run_id is None)
            and (self.is_root is not False or run.parent_run_id is not None)
            and (not self.run_type or run.run_type == self.run_type)
            and (self.error is None or (run.status == "error") == bool(self.error))
            and (self.parent is None or run.parent_run_id == self.parent)
            and (not self.trace or run.trace_id == self.trace)
        )


def _load(cur: Any, run_ids: list[str]) -> list[tuple[RunRow, RunPayload]]:
    rows = reader.load_runs_by_id(cur, run_ids)
    payloads = reader.load_payloads(cur, [r.run_id for r in rows])
    return [(r, payloads[r.run_id]) for r in rows]


def _may_read(request: Request, run: RunRow) -> bool:
    return request.key.project in {"", run.project}


def _run_json(run: RunRow, payload: RunPayload) -> dict[str, Any]:
    """Return the run as LangSmith's API shows it."""
    base = f"/runs/{run.run_id}/attachments/"
    return {
        "id": run.run_id,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "dotted_order": payload.dotted_order or "",
        "name": run.name,
        "run_type": run.run_type,
        "start_time": run.start or _EPOCH,
        "end_time": run.end,
        "status": _STATUS[run.status],
        "error": run.error,
        "session_id": project_id(run.project),
        "session_name": run.project,
        "inputs": payload.inputs or {},
        "outputs": payload.outputs,
        "events": payload.events or [],
        "extra": payload.extra or {},
        "serialized": payload.serialized,
        "tags": list(run.tags),
        "prompt_tokens": run.prompt_tokens,
        "completion_tokens": run.completion_tokens,
        "total_tokens": run.total_tokens,
        "total_cost": run.cost,
        "first_token_time": run.first_token,
        "child_run_ids": None,
        "parent_run_ids": [],
        "app_path": f"/traces/{run.trace_id}",
        "s3_urls": {f"attachment.{n}": {"presigned_url": base + quote(n)} for n in run.attachments},
    }


def _session(row: Any) -> dict[str, Any]:
    identity, name, created_at, description, extra = row
    return {
        "id": identity,
        "tenant_id": TENANT,
        "reference_dataset_id": None,
        "name": name,
        "start_time": created_at,
        "description": description or None,
        "extra": extra,
    }


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object a body is. Raises `RefusedError` 422."""
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise RefusedError(422, f"body: {error}") from error
    if not isinstance(value, dict):
        raise RefusedError(422, "body: must be an object")
    return value


def _ids(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    for one in values:
        if not isinstance(one, str) or not reader.valid_uuid(one):
            raise RefusedError(422, f"{name}: must be a UUID")
    return [str(one).lower() for one in values]


def digits(query: dict[str, list[str]], name: str, default: str) -> str:
    """Return a parameter made of digits. Raises `RefusedError` 422."""
    value = query.get(name, [default])[0]
    if not value.isdigit() or len(value) > 9:
        raise RefusedError(422, f"{name}: must be a whole number")
    return value
