"""What the LangSmith SDKs read back: runs, projects, settings, attachments."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql

from traces_app.ingest.http import Answer, RefusedError, Request, json_object
from traces_app.ingest.langsmith_runs import Wanted, attachment_text, run_json, run_json_v2
from traces_app.store import reader
from traces_app.store.writer import ADD_PROJECTS, project_id

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest
    from traces_app.rows import RunPayload, RunRow

TENANT = "00000000-0000-4000-8000-000000000001"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LIMIT = 100


class LangSmithReads:
    """Each key reads its own project, a key without a project reads all."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def settings(self, _request: Request) -> Answer:
        """`GET /settings`."""
        return Answer.json({"id": TENANT, "display_name": "agentic-sales", "created_at": _EPOCH})

    async def run(self, request: Request) -> Answer:
        """`GET /runs/{id}`."""
        return Answer.json(run_json(*await self._one(request), request.key))

    async def attachment(self, request: Request) -> Answer:
        """`GET /runs/{id}/attachments/{name}`, with a key or at an address that one signed."""
        run_id, name = request.args["id"].lower(), request.args["name"]
        query = request.query()
        if "mark" in query:
            until = digits(query, "until", "0")
            if int(until) * 60 < time.time():
                raise RefusedError(401, "until: this address is over")
            self._ingest.admission.open_signed(
                request, attachment_text(run_id, name, until), query["mark"][0]
            )
        else:
            self._ingest.admission.authenticate(request, "ingest", "read")
        runs = await self._ingest.reads.run(lambda cur: reader.load_runs_by_id(cur, [run_id]))
        if not any(request.key.project in {"", run.project} for run in runs):
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
        runs, wanted, cursor = await self._query(request)
        return Answer.json(
            {"runs": [run_json(*r, request.key, wanted.select) for r in runs], "cursors": {"next": cursor}}
        )

    async def query_v2(self, request: Request) -> Answer:
        """`POST /api/v2/runs/query`."""
        runs, wanted, cursor = await self._query(request)
        items = [run_json_v2(*run, request.key, wanted.select) for run in runs]
        return Answer.json({"items": items, "next_cursor": cursor})

    async def run_v2(self, request: Request) -> Answer:
        """`GET /api/v2/runs/{id}?selects=…`."""
        return Answer.json(
            run_json_v2(*await self._one(request), request.key, request.query().get("selects"))
        )

    async def _one(self, request: Request) -> tuple[RunRow, RunPayload]:
        found = await self._ingest.reads.run(lambda cur: reader.load_whole(cur, [request.args["id"]]))
        mine = [run for run in found if request.key.project in {"", run[0].project}]
        if not mine:
            raise RefusedError(404, "run not found")
        return mine[0]

    async def _query(self, request: Request) -> tuple[list[tuple[RunRow, RunPayload]], Wanted, str | None]:
        with self._ingest.admission.room_for(request):
            body = json_object(await self._ingest.body(request))
        wanted = Wanted(body)
        runs, cursor = await self._ingest.reads.run(lambda cur: wanted.load(cur, request.key.project))
        return runs, wanted, cursor

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


def digits(query: dict[str, list[str]], name: str, default: str) -> str:
    """Return a parameter made of digits. Raises `RefusedError` 422."""
    value = query.get(name, [default])[0]
    if not value.isdigit() or len(value) > 9:
        raise RefusedError(422, f"{name}: must be a whole number")
    return value
