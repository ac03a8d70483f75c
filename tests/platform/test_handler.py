"""Django behind the switch: one thread for a request, no middleware for a file."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import connection
from django.urls import path

from platform_site.handler import OneThread, behind_proxies
from traces_app.api import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest, HttpResponse
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    Handler = OneThread | ProxyHeadersMiddleware

seen: list[int] = []


def note_thread(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(threading.get_ident())
        response = get_response(request)
        seen.append(threading.get_ident())
        return response

    return answer


def endless(_request: HttpRequest) -> Lines:
    return Lines(_read_on())


def _read_on() -> Iterator[bytes]:
    try:
        for line in itertools.count():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            seen.append(threading.get_ident())
            yield b"%d\n" % line
    finally:
        seen.append(0)


urlpatterns = [path("endless", endless)]


def call(handler: Handler, path: str, *headers: tuple[bytes, bytes]) -> ApplicationCommunicator:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "client": ("192.0.2.7", 1),
    }
    return ApplicationCommunicator(handler, {**scope, "headers": [(b"host", b"localhost"), *headers]})


async def asked(handler: Handler, path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    asking = call(handler, path, *headers)
    await asking.send_input({"type": "http.request", "body": b""})
    start = await asking.receive_output(10)
    body = await asking.receive_output(10)
    await asking.wait(10)
    return {"status": start["status"], "headers": dict(start["headers"]), "body": body["body"]}


@pytest.mark.django_db(transaction=True)
async def test_a_request_stays_in_one_thread_and_a_file_passes_no_middleware(settings: Any) -> None:
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


async def test_a_file_that_is_known_is_not_sent_again_and_a_part_is_a_part() -> None:
    handler = OneThread()
    whole = await asked(handler, "/static/css/tokens.css")
    known = (b"if-modified-since", whole["headers"][b"Last-Modified"])
    again = await asked(handler, "/static/css/tokens.css", known)
    assert (again["status"], again["body"]) == (304, b"")
    part = await asked(handler, "/static/css/tokens.css", (b"range", b"bytes=2-9"))
    assert (part["status"], part["body"]) == (206, whole["body"][2:10])


@pytest.mark.django_db(transaction=True)
async def test_what_is_streamed_is_read_in_one_thread_and_no_further_when_the_client_goes(
    settings: Any,
) -> None:
    seen.clear()
    settings.ROOT_URLCONF = __name__
    stream = call(OneThread(), "/endless")
    await stream.send_input({"type": "http.request", "body": b""})
    start = await stream.receive_output(10)
    pieces = [(await stream.receive_output(10))["body"] for _ in range(3)]
    await stream.send_input({"type": "http.disconnect"})
    await stream.wait(10)
    assert start["status"] == 200
    assert b"".join(pieces).startswith(b"0\n1\n2\n")
    assert seen.pop() == 0
    assert len(set(seen)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("trusted", "status"), [("192.0.2.7", 200), ("127.0.0.1", 301)])
async def test_a_proxy_is_believed_when_its_address_is_trusted(
    settings: Any, trusted: str, status: int
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    page = await asked(behind_proxies(trusted), "/login/", (b"x-forwarded-proto", b"https"))
    assert page["status"] == status
