"""Around every request of Django: its id on each log line and answer, one line when it is done, and a clear answer
while the database is away.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render

from platform_site.lib.logs import log_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

logger = logging.getLogger("platform.request")


class CompressedPages(GZipMiddleware):
    """Pages go out compressed, with Django's padding against guessing; data and files are left as they are."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def request_context(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A caller's well-formed `x-request-id` is kept, else one is made; `traceparent` gives the trace id."""

    def answer(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        with log_context(**_ids(request)):
            return _finish(request, get_response(request), started)

    return answer


def database_away(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Says that the database is away, and that calls go on without it, instead of a bare failure."""

    def answer(request: HttpRequest) -> Any:
        return get_response(request)

    answer.process_exception = _say_away  # type: ignore[attr-defined]
    return answer


def without_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """PostgreSQL takes no NUL in any text, so a query that holds one is refused by name before it can reach a table."""

    def answer(request: HttpRequest) -> Any:
        return _nul_refused(request) or get_response(request)

    return answer


def signed_out(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """htmx follows a way to the sign-in page and would put that page into a part of the one that is open.

    What is read again is read as a whole page, which leads there; what was sent is not lost to it.
    """

    def answer(request: HttpRequest) -> Any:
        response = get_response(request)
        leads_there = response.status_code == 302 and response["Location"].startswith(settings.LOGIN_URL)
        if request.headers.get("HX-Request") != "true" or not leads_there:
            return response
        if request.method == "GET":
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        said = {
            "tone": "bad",
            "title": "You are signed out, and nothing was done.",
            "text": "Sign in, in another tab, and send it again.",
            "link": settings.LOGIN_URL,
            "link_text": "Sign in",
        }
        return render(request, "ui/_alert.html", said, status=401)

    return answer


def _nul_refused(request: HttpRequest) -> HttpResponse | None:
    if "\0" in request.path and request.path.startswith("/api/"):
        detail = "path: holds a NUL character (%00), which no name here has"
        return JsonResponse({"detail": detail, "field": "path"}, status=404)
    if "%00" not in request.META.get("QUERY_STRING", ""):
        return None
    names = (
        name for name, values in request.GET.lists() if "\0" in name or any("\0" in one for one in values)
    )
    field = next(names, "").replace("\0", "")
    message = "holds a NUL character (%00), which no text here has"
    if not request.path.startswith("/api/"):
        return HttpResponse(f"{field}: {message}.", content_type="text/plain", status=422)
    problem = {
        "detail": f"{field}: {message}",
        "field": field,
        "errors": [{"field": field, "message": message}],
    }
    return JsonResponse(problem, status=422)


def _say_away(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    if not isinstance(exception, OperationalError | InterfaceError):
        return None
    logger.warning("the database is away: %s", exception)
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = JsonResponse({"detail": "The database gave no answer.", "kind": "backend"}, status=503)
    else:
        response = render(None, "503.html", status=503)
    response.headers["Retry-After"] = "2"
    return response


def _ids(request: HttpRequest) -> dict[str, str]:
    given = request.headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    request.META["platform.request_id"] = request_id
    trace = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return {"request_id": request_id, "trace_id": trace[1] if trace else ""}


def _finish(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
    response.headers["x-request-id"] = request.META["platform.request_id"]
    facts = {
        "method": request.method,
        "path": request.path,  # without the query: it may hold what a user searched for
        "status": response.status_code,
        "ms": round((time.perf_counter() - started) * 1000, 1),
    }
    logger.info("%s %s %s", request.method, request.path, response.status_code, extra=facts)
    return response
