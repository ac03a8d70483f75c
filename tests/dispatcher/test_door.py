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


@contextmanager
def serving(app: Held) -> Iterator[socket.socket]:
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
