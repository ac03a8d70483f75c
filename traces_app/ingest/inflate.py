"""Reading a body, whatever its encoding, within a budget of bytes before and after inflation."""

from __future__ import annotations

import zlib

import zstandard

from traces_app.ingest.http import RefusedError, Request

_STEP = 1 << 18
_WINDOW = 1 << 27  # 128 MiB: the largest window a frame may ask for


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body as it was sent. Raises `RefusedError` 413 above `limit` bytes, 400 when the client went away."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the body ended early")
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise RefusedError(413, f"body is larger than {limit} bytes")
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the decoded body. Raises `RefusedError` 413 above `limit` bytes, 415 for an encoding that is not known, 400 for damage."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _zlib(body, 31, limit)
        case "deflate":
            return _zlib(body, 15, limit)
        case "zstd":
            return _zstd(body, limit)
    raise RefusedError(415, f"content-encoding {encoding[:40]!r} is not one of identity, gzip, deflate, zstd")


def _zlib(body: bytes, window_bits: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    try:
        out = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RefusedError(400, f"body does not inflate: {error}") from error
    if len(out) > limit:
        raise RefusedError(413, f"body inflates to more than {limit} bytes")
    if not stream.eof:
        raise RefusedError(400, "body does not inflate: it ends early")
    return out


def _zstd(body: bytes, limit: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(body, read_across_frames=True)
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := reader.read(min(_STEP, limit + 1 - size)):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise RefusedError(413, f"body inflates to more than {limit} bytes")
    except zstandard.ZstdError as error:
        raise RefusedError(400, f"body does not inflate: {error}") from error
    return b"".join(pieces)
