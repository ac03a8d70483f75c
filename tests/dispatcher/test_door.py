"""The server's door, under a real uvicorn in a thread of its own: when what an application sends reaches the caller."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

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


@contextmanager
def serving(app: Held | Reader) -> Iterator[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Door, lifespan="off", log_level="warning"))
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
