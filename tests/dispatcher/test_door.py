"""The server's door, under a real uvicorn in a thread of its own: when what an application sends reaches the caller."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import uvicorn

from fleet.kit.door import Door

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from routing_app.dispatcher.asgi_types import Receive, Scope, Send

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Held:
    """Answers, and blocks the whole loop right after it until the caller says that it heard."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.was_heard = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"done"})
        self.was_heard = self.heard.wait(10)


class Reader:
    """Takes a body to its end, and answers how long it is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"%4d" % size})


class Teller:
    """Answers with its path, in pieces of unsaid length, and with what the query asks for as a header."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-asked", unquote_to_bytes(scope["query_string"]))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in scope["path"].split("/"):
            await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
        await send({"type": "http.response.body"})


class Quitter:
    """Says how long its answer is, in capitals, and fails before or in the middle of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Content-Length", b"8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/half":
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError


@contextmanager
def serving(app: Held | Reader | Teller | Quitter, **settings: Any) -> Iterator[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Door, lifespan="off", log_level="critical", **settings))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    with socket.create_connection(listener.getsockname(), 10) as caller:
        yield caller
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_an_answer_goes_out_in_one_piece_before_what_is_done_after_it() -> None:
    app = Held()
    with serving(app) as caller:
        caller.sendall(REQUEST)
        said = caller.recv(65_536)
        app.heard.set()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\ndone")
    assert app.was_heard


def test_a_body_that_stands_still_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "BODY_S", 0.2)
    with serving(Reader()) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        said = caller.makefile("rb").read()  # to the end: the connection is closed
    assert said.startswith(b"HTTP/1.1 408 ")
    assert said.endswith(b'{"detail": "the request\'s body did not arrive in time", "kind": "client"}')


def test_a_body_in_pieces_is_read_and_the_next_request_too() -> None:
    with serving(Reader()) as caller:
        for _ in range(2):
            caller.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
            caller.sendall(b" more")
            assert caller.recv(65_536).endswith(b"\r\n\r\n   9")


def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    with serving(Teller()) as caller:
        caller.sendall(
            b"GET /one/%20two HTTP/1.1\r\nhost: x\r\n\r\n"
            b"HEAD /three HTTP/1.1\r\nhost: x\r\n\r\n"
            b"GET /four HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        first, second, third = caller.makefile("rb").read().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n")
    assert second.endswith(b"x-asked: \r\n\r\n")
    assert b"\r\nconnection: close\r\n" in third
    assert third.endswith(b"\r\n\r\n4\r\nfour\r\n0\r\n\r\n")


def test_an_answer_that_fails_is_cut_or_if_nothing_of_it_is_out_another() -> None:
    for path, status, said in ((b"/half", b"200", b"half"), (b"/none", b"500", b"Internal Server Error")):
        with serving(Quitter()) as caller:
            caller.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
            head, _, body = caller.makefile("rb").read().partition(b"\r\n\r\n")
        assert (head.split()[1], body) == (status, said)
        assert (b"Content-Length: 8" in head, b"chunked" in head) == (status == b"200", False)


def test_nothing_in_a_header_begins_another() -> None:
    with serving(Teller()) as caller:
        caller.sendall(b"GET /?a%0D%0Aset-cookie:b HTTP/1.1\r\nhost: x\r\n\r\n")
        said = caller.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in said


def test_who_asks_whether_to_go_on_is_told() -> None:
    with serving(Reader()) as caller:
        caller.sendall(
            b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        assert caller.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(b"4\r\nmore\r\n0\r\n\r\n")
        assert caller.recv(65_536).endswith(b"\r\n\r\n   4")


def test_a_connection_that_served_is_closed_in_silence() -> None:
    with serving(Teller(), timeout_keep_alive=0) as caller:
        caller.sendall(b"GET /one HTTP/1.1\r\nhost: x\r\n\r\n")
        assert caller.makefile("rb").read().count(b"HTTP/1.1 ") == 1


def test_an_upgrade_is_answered_as_if_it_was_not_asked_for() -> None:
    with serving(Teller()) as caller:
        caller.sendall(b"GET /one HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n")
        said = caller.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\n3\r\none\r\n0\r\n\r\n")


def test_what_is_sent_after_a_closing_request_does_not_spoil_its_answer() -> None:
    with serving(Reader()) as caller:
        caller.sendall(
            b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmore\r\nGET / HT"
        )
        said = caller.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\n   4")
