"""Django behind the switch: one thread for a request, none for a file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.testing import ApplicationCommunicator

from platform_site.handler import OneThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

seen: list[int] = []


def note_thread(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(threading.get_ident())
        response = get_response(request)
        seen.append(threading.get_ident())
        return response

    return answer


async def asked(handler: OneThread, path: str) -> dict[str, Any]:
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "query_string": b""}
    call = ApplicationCommunicator(handler, {**scope, "headers": [(b"host", b"localhost")]})
    await call.send_input({"type": "http.request", "body": b""})
    start = await call.receive_output(10)
    await call.wait(10)
    return {"status": start["status"], "headers": dict(start["headers"])}


@pytest.mark.django_db(transaction=True)
async def test_a_request_stays_in_one_thread_and_a_file_needs_none(settings: Any) -> None:
    seen.clear()
    note = f"{__name__}.note_thread"
    settings.MIDDLEWARE = [note, *settings.MIDDLEWARE, note]
    handler = OneThread()
    file = await asked(handler, "/static/css/tokens.css")
    assert (file["status"], file["headers"][b"X-Content-Type-Options"]) == (200, b"nosniff")
    assert seen == []
    page = await asked(handler, "/login/")
    assert (page["status"], page["headers"][b"X-Content-Type-Options"]) == (200, b"nosniff")
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()
