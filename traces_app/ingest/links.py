"""Addresses that open one thing to whoever holds them: shared runs, and feedback without a key."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from feedback_app.store import FeedbackError, parse_key
from traces_app.ingest.http import Answer, RefusedError, Request, json_object
from traces_app.ingest.langsmith_runs import Wanted, run_json
from traces_app.store import reader

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest

_LIFE = timedelta(hours=3)  # LangSmith's own default
_MAX_LIFE = timedelta(days=365)
_ADD = (
    "INSERT INTO traces_app_link (token_hash, kind, run_id, project, feedback_key, created_at, expires_at, share_token)"
    " VALUES (%s, %s, %s, %s, %s, now(), %s, %s) ON CONFLICT DO NOTHING"
)
_SHARED = "SELECT share_token::text FROM traces_app_link WHERE kind = 'share' AND run_id = %s"
_UNSHARE = "DELETE FROM traces_app_link WHERE kind = 'share' AND run_id = %s"
_OPEN = (
    "SELECT run_id::text, project, feedback_key FROM traces_app_link"
    " WHERE token_hash = %s AND kind = %s AND (expires_at IS NULL OR expires_at > now())"
)


class LinkDoor:
    """Only hashes of tokens are kept, but of shared runs, whose address is public by intent."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def share(self, request: Request) -> Answer:
        """`PUT /runs/{id}/share`: opens the run and its trace to whoever has the token."""
        with self._ingest.admission.room_for(request):
            body = json_object(await self._ingest.body(request) or b"{}")
        token = str(body.get("share_token") or uuid.uuid4()).lower()
        if not reader.valid_uuid(token):
            raise RefusedError(422, "share_token: must be a UUID")
        run_id = await self._own_run(request)
        given = (_hash(token), "share", run_id, request.key.project, "", None, token)

        def write(cur: Any) -> Any:
            cur.execute(_SHARED, (run_id,))
            if (row := cur.fetchone()) is None:
                cur.execute(_ADD, given)
            return row

        held = await self._ingest.reads.run(write)
        return Answer.json({"run_id": run_id, "share_token": held[0] if held else token})

    async def shared(self, request: Request) -> Answer:
        """`GET /runs/{id}/share`: the token, or null."""
        run_id = await self._own_run(request)
        row = await self._fetch(_SHARED, (run_id,))
        return Answer.json(None if row is None else {"run_id": run_id, "share_token": row[0]})

    async def unshare(self, request: Request) -> Answer:
        """`DELETE /runs/{id}/share`."""
        run_id = await self._own_run(request)
        await self._ingest.reads.run(lambda cur: cur.execute(_UNSHARE, (run_id,)))
        return Answer.json({"message": "no longer shared"})

    async def public_run(self, request: Request) -> Answer:
        """`GET /public/{token}/run[/{id}]`."""
        root, _project, _key = await self._open(request, "share")
        wanted = request.args.get("run") or root
        found = await self._ingest.reads.run(lambda cur: reader.load_whole(cur, [root, wanted]))
        traces = {row.trace_id for row, _ in found if row.run_id == root}
        for row, payload in found:
            if row.run_id == wanted.lower() and row.trace_id in traces:
                return Answer.json(run_json(row, payload, None))
        raise RefusedError(404, "run not found")

    async def public_query(self, request: Request) -> Answer:
        """`POST /public/{token}/runs/query`: runs of the shared run's trace."""
        root, project, _key = await self._open(request, "share")
        with self._ingest.admission.room_for(request):
            wanted = Wanted(json_object(await self._ingest.body(request)))

        def read(cur: Any) -> Any:
            shared = reader.load_runs_by_id(cur, [root])
            if not shared:
                return [], None
            wanted.trace, wanted.sessions = shared[0].trace_id, []
            return wanted.load(cur, project)

        runs, cursor = await self._ingest.reads.run(read)
        shown = [run_json(row, payload, None, wanted.select) for row, payload in runs]
        return Answer.json({"runs": shown, "cursors": {"next": cursor}})

    async def create_tokens(self, request: Request) -> Answer:
        """`POST /feedback/tokens`: one token for an object, a list for a list."""
        with self._ingest.admission.room_for(request):
            raw = await self._ingest.body(request)
        if raw.lstrip()[:1] == b"[":
            bodies = json_object(b'{"all":' + raw + b"}")["all"][:100]
            return Answer.json([await self._token(request, one) for one in bodies])
        return Answer.json(await self._token(request, json_object(raw)))

    async def use_token(self, request: Request) -> Answer:
        """`GET` or `POST /feedback/tokens/{token}`: feedback by whoever holds the address."""
        run_id, project, key = await self._open(request, "feedback")
        if request.method == "POST":
            with self._ingest.admission.room_for(request):
                body = json_object(await self._ingest.body(request))
        else:
            body = {name: values[0] for name, values in request.query().items()}
            body["score"] = _number(body.get("score"))
        given: dict[str, Any] = {
            name: body[name] for name in ("score", "value", "comment", "correction") if name in body
        }
        # The same address used again corrects what was said with it.
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"feedback-token:{_hash(request.args['token'])}"))
        await self._ingest.feedback.put({**given, "id": identity, "run_id": run_id, "key": key}, project)
        return Answer.json({"message": "thank you"})

    async def _token(self, request: Request, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict) or not reader.valid_uuid(str(body.get("run_id") or "")):
            raise RefusedError(422, "run_id: must be a UUID")
        try:
            key = parse_key(body.get("feedback_key"))
        except FeedbackError as error:
            raise RefusedError(422, f"feedback_{error}") from error
        token, expires_at = str(uuid.uuid4()), _expiry(body)
        given = (_hash(token), "feedback", body["run_id"], request.key.project, key, expires_at, None)
        await self._ingest.reads.run(lambda cur: cur.execute(_ADD, given))
        host = request.headers.get("host", "127.0.0.1")
        scheme = request.scope.get("scheme", "http")
        url = f"{scheme}://{host}/langsmith/feedback/tokens/{token}"
        return {"id": token, "url": url, "expires_at": expires_at.isoformat()}

    async def _own_run(self, request: Request) -> str:
        run_id = request.args["id"].lower()
        rows = await self._ingest.reads.run(lambda cur: reader.load_runs_by_id(cur, [run_id]))
        if not any(request.key.project in {"", row.project} for row in rows):
            raise RefusedError(404, "run not found")
        return run_id

    async def _open(self, request: Request, kind: str) -> tuple[str, str, str]:
        row = await self._fetch(_OPEN, (_hash(request.args["token"].lower()), kind))
        if row is None:
            raise RefusedError(404, "not found, or over")
        return row[0], row[1], row[2]

    async def _fetch(self, statement: str, given: tuple[Any, ...]) -> Any:
        def read(cur: Any) -> Any:
            cur.execute(statement, given)
            return cur.fetchone()

        return await self._ingest.reads.run(read)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise RefusedError(422, "score: must be a number") from None


def _expiry(body: dict[str, Any]) -> datetime:
    now = datetime.now(UTC)
    try:
        if body.get("expires_at"):
            at = datetime.fromisoformat(body["expires_at"])
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        elif body.get("expires_in"):
            at = now + timedelta(
                **{name: int(body["expires_in"].get(name) or 0) for name in ("days", "hours", "minutes")}
            )
        else:
            at = now + _LIFE
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RefusedError(422, f"expires_in: {error}") from error
    if not now < at <= now + _MAX_LIFE:
        raise RefusedError(422, "expires_at: must be in the future and within a year")
    return at
