"""`multipart/form-data` as the LangSmith SDKs write it: a scan for boundaries, no copies but the parts themselves.

Python's parts carry Content-Length and no filename, JavaScript's carry the length as a parameter of the type and
no Content-Length; both are held to the boundary, and a length that is given must be true.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from traces_app.ingest.http import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_HEADER = 8192
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;,\s]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_LENGTH = re.compile(rb"(?:^|[;\s])length=(\d+)", re.IGNORECASE)
_MAX_DIGITS = 20  # of a length, which Python would read for as long as it goes on


class FormPart(msgspec.Struct):
    """One part of a form. `problem` says what is wrong with its frame, "" when nothing is."""

    name: str
    content_type: str
    data: bytes
    problem: str = ""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary named in a content type. Raises `RefusedError` 422."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise RefusedError(422, "content-type: multipart/form-data needs a boundary")
    return (found[1] or found[2]).encode("latin-1")


def form_parts(body: bytes, boundary: bytes) -> Iterator[FormPart]:
    """Yield the parts. Raises `RefusedError` 422 when the body is no multipart or ends early."""
    mark = b"--" + boundary
    delimiter = b"\r\n" + mark
    if not body.startswith(mark):
        at = body.find(delimiter)
        if at < 0:
            raise RefusedError(422, "body: the boundary of the content-type does not occur")
        at += 2
    else:
        at = 0
    while True:
        at += len(mark)
        if body.startswith(b"--", at):
            return
        end = body.find(delimiter, at)
        if end < 0:
            raise RefusedError(422, "body: multipart ends before its last boundary")
        yield _part(body, at, end)
        at = end + 2


def _part(body: bytes, start: int, end: int) -> FormPart:
    split = body.find(b"\r\n\r\n", start, min(end, start + _MAX_HEADER))
    if split < 0:
        return FormPart("", "", body[start : min(end, start + 200)], "part: headers do not end")
    headers = _headers(body[start:split])
    data = body[split + 4 : end]
    name = _NAME.search(headers.get(b"content-disposition", b""))
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    part = FormPart(name[1].decode("utf-8", "replace") if name else "", kind.decode("latin-1").strip(), data)
    length = headers.get(b"content-length", b"")
    if not length and (of_type := _LENGTH.search(parameters)):
        length = of_type[1]
    if name is None:
        part.problem = "part: content-disposition has no name"
    elif length.isdigit() and int(length[:_MAX_DIGITS]) != len(data):
        part.problem = f"part: length says {int(length[:_MAX_DIGITS])}, the part has {len(data)} bytes"
    return part


def _headers(head: bytes) -> dict[bytes, bytes]:
    """Return the header lines by name in lower case."""
    headers = {}
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers
