"""Which door a path leads to, and which scope opens it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from traces_app.ingest.http import Answer, RefusedError, Request

if TYPE_CHECKING:
    from traces_app.ingest.asgi import Ingest

Handler = Callable[[Request], Awaitable[Answer]]
_ID = r"(?P<id>[0-9a-fA-F-]{36})"


class Route(NamedTuple):
    """One operation. No scopes: open to all; several: any of them will do."""

    method: str
    path: re.Pattern[str]
    handler: Callable[[Ingest], Handler]
    scopes: tuple[str, ...]


def _route(method: str, path: str, handler: Callable[[Ingest], Handler], *scopes: str) -> Route:
    return Route(method, re.compile(path), handler, scopes)


_BEARER = r"(?P<token>[0-9a-fA-F-]{36})"
_RUN = r"(?P<run>[0-9a-fA-F-]{36})"
_V2 = r"(?:/api)?/v2"
ROUTES = (
    _route("GET", "/langsmith/info", lambda i: i.langsmith.info),
    _route("POST", "/langsmith/runs/multipart", lambda i: i.langsmith.multipart, "ingest"),
    _route("POST", "/langsmith/runs/batch", lambda i: i.langsmith.batch, "ingest"),
    _route("POST", "/langsmith/runs", lambda i: i.langsmith.post_run, "ingest"),
    _route("PATCH", f"/langsmith/runs/{_ID}", lambda i: i.langsmith.patch_run, "ingest"),
    _route("POST", "/otlp/v1/traces", lambda i: i.otlp.traces, "ingest"),
    _route("POST", "/langsmith/otel/v1/traces", lambda i: i.otlp.traces, "ingest"),
    _route("POST", "/langsmith/v1/metadata/submit", lambda i: i.langsmith.metadata),
    _route("GET", "/langsmith/settings", lambda i: i.langsmith_reads.settings, "ingest", "read"),
    _route("GET", f"/langsmith/runs/{_ID}", lambda i: i.langsmith_reads.run, "ingest", "read"),
    _route(
        "GET",
        f"/langsmith/runs/{_ID}/attachments/(?P<name>.+)",
        lambda i: i.langsmith_reads.attachment,
    ),
    _route("POST", "/langsmith/runs/query", lambda i: i.langsmith_reads.query, "ingest", "read"),
    _route("POST", f"/langsmith{_V2}/runs/query", lambda i: i.langsmith_reads.query_v2, "ingest", "read"),
    _route("GET", f"/langsmith{_V2}/runs/{_ID}", lambda i: i.langsmith_reads.run_v2, "ingest", "read"),
    _route("PUT", f"/langsmith/runs/{_ID}/share", lambda i: i.links.share, "ingest"),
    _route("GET", f"/langsmith/runs/{_ID}/share", lambda i: i.links.shared, "ingest", "read"),
    _route("DELETE", f"/langsmith/runs/{_ID}/share", lambda i: i.links.unshare, "ingest"),
    _route("GET", f"/langsmith/public/{_BEARER}/run(?:/{_RUN})?", lambda i: i.links.public_run),
    _route("POST", f"/langsmith/public/{_BEARER}/runs/query", lambda i: i.links.public_query),
    _route("POST", "/langsmith/feedback/tokens", lambda i: i.links.create_tokens, "ingest", "feedback:write"),
    _route("GET", f"/langsmith/feedback/tokens/{_BEARER}", lambda i: i.links.use_token),
    _route("POST", f"/langsmith/feedback/tokens/{_BEARER}", lambda i: i.links.use_token),
    _route("GET", "/langsmith/sessions", lambda i: i.langsmith_reads.sessions, "ingest", "read"),
    _route("POST", "/langsmith/sessions", lambda i: i.langsmith_reads.create_session, "ingest"),
    _route("GET", f"/langsmith/sessions/{_ID}", lambda i: i.langsmith_reads.session, "ingest", "read"),
    _route("POST", "/langsmith/feedback", lambda i: i.feedback.create, "ingest", "feedback:write"),
    _route("GET", "/langsmith/feedback", lambda i: i.feedback.list, "ingest", "read"),
    _route("GET", f"/langsmith/feedback/{_ID}", lambda i: i.feedback.read, "ingest", "read"),
    _route("PATCH", f"/langsmith/feedback/{_ID}", lambda i: i.feedback.update, "ingest", "feedback:write"),
    _route("DELETE", f"/langsmith/feedback/{_ID}", lambda i: i.feedback.delete, "ingest", "feedback:write"),
)
_EXACT = {(r.method, r.path.pattern): r for r in ROUTES if "(" not in r.path.pattern}


async def match(ingest: Ingest, request: Request) -> Answer:
    """Find the door, check the key, go in. Raises `RefusedError` 404, 405, 401 or 403."""
    route = _EXACT.get((request.method, request.path)) or _search(request)
    if route.scopes:
        ingest.admission.authenticate(request, *route.scopes)
    return await route.handler(ingest)(request)


def _search(request: Request) -> Route:
    known = False
    for route in ROUTES:
        found = route.path.fullmatch(request.path)
        if found is None:
            continue
        if route.method == request.method:
            request.args = found.groupdict()
            return route
        known = True
    raise RefusedError(405 if known else 404, "method not allowed" if known else "not found")
