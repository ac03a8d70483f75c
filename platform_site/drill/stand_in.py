"""A pool that is of no use: `python -m platform_site.drill.stand_in --port N --mode silent|failing`.

It accepts and reads every request; then it answers nothing, or 500.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import httptools

ANSWER = b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n"
BODY = b'{"detail": "drill: no"}\r\n'


class StandIn(asyncio.Protocol):
    def __init__(self, mode: str) -> None:
        self._mode = mode

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._mode == "failing":
            self._transport.write(ANSWER + BODY)


async def serve(port: int, mode: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StandIn(mode), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="stand_in", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mode", choices=("silent", "failing"), required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.mode))


if __name__ == "__main__":
    main()
