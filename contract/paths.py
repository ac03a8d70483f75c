"""Normalise a request path once, before anything is decided on it; what cannot be normalised safely is refused."""

from __future__ import annotations

_HEX = "0123456789abcdefABCDEF"
#: Encoded forms that would mean something else to the next reader: slash, dot, backslash, percent, NUL, `;`, `?`, `#`.
_NEVER_ENCODED = frozenset(b"/.\\%\0;?#")


def normalise_path(raw: str) -> str | None:
    """The percent-decoded path (no query), or None when two readers could disagree about what it names.

    Refused: a path that is not absolute, `//`, `.` and `..` segments (also with `;parameters`), backslashes, encoded
    slashes, dots, percent signs or delimiters, broken escapes, bytes that are no UTF-8, and control characters.
    """
    if not raw.startswith("/") or "//" in raw or "?" in raw or "#" in raw or "\\" in raw:
        return None
    path = _decode(raw) if "%" in raw else raw
    if path is None or not _printable(path):
        return None
    if any(segment.partition(";")[0] in (".", "..") for segment in path.split("/")):
        return None
    return path


def _decode(raw: str) -> str | None:
    head, *rest = raw.split("%")
    out = bytearray(head.encode("utf-8", "surrogatepass"))
    for part in rest:
        digits = part[:2]
        if len(digits) != 2 or digits[0] not in _HEX or digits[1] not in _HEX:
            return None
        byte = int(digits, 16)
        if byte in _NEVER_ENCODED:
            return None
        out.append(byte)
        out += part[2:].encode("utf-8", "surrogatepass")
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _printable(path: str) -> bool:
    """No C0 or C1 controls, no lone surrogates, no characters that break or reorder a line."""
    if path.isascii():
        return path.isprintable()
    return not any(
        char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" or char in "\u2028\u2029"
        for char in path
    )
