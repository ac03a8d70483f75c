"""Server-sent events in the framing of a LangGraph server: CRLF, `event`, `data`, and `id` where asked."""

from __future__ import annotations

HEARTBEAT = b": heartbeat\r\n\r\n"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}


def frame(event: str, data: bytes, event_id: str = "") -> bytes:
    """Return one event. `data` is JSON, so it holds no line break."""
    tail = b"\r\nid: " + event_id.encode() + b"\r\n\r\n" if event_id else b"\r\n\r\n"
    return b"event: " + event.replace("\r", "").replace("\n", "").encode() + b"\r\ndata: " + data + tail
