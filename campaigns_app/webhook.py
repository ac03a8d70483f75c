"""The signature of provider events: HMAC-SHA256 over time and body, so that none can be forged or replayed late."""

from __future__ import annotations

import hashlib
import hmac
import time

TIMESTAMP_HEADER, SIGNATURE_HEADER = "x-agentic-timestamp", "x-agentic-signature"
#: Seconds a signed request stays good; what is repeated inside is known by its event id.
REPLAY_WINDOW_S = 300


class BadSignatureError(ValueError):
    """The request is not from the provider, or too old; the message says which."""


def sign(secret: str, timestamp: int, body: bytes) -> str:
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def verify(secret: str, *, timestamp: str, signature: str, body: bytes, now: float | None = None) -> None:
    """Raises BadSignatureError unless `signature` is ours over `timestamp` and `body`, made a moment ago."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignatureError(f"{TIMESTAMP_HEADER} must be seconds since 1970.")
    expected = sign(secret, int(timestamp), body)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise BadSignatureError(f"{SIGNATURE_HEADER} does not match the body.")
    if abs((time.time() if now is None else now) - int(timestamp)) > REPLAY_WINDOW_S:
        raise BadSignatureError(f"{TIMESTAMP_HEADER} is more than {REPLAY_WINDOW_S} s away from now.")
