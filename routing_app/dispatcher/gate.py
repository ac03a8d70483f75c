"""The gate: what a request must be before anything looks at its body. Order as the contract has it."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from contract.paths import normalise_path
from contract.route_for import path_decision
from routing_app.dispatcher.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_app.keyring import KeyFacts, KeyRing

#: Real clients send about twenty; how long all may be is the door's to say.
MAX_HEADERS = 100

SCOPE = "runs"

_REFUSALS = {
    "INTERNAL_ONLY": "this path is internal",
    "MISSING_AUTH": "send a key as 'Authorization: Bearer …' or 'x-api-key'",
    "BAD_AUTH": "the key is unknown, expired or revoked",
    "NOT_FOUND": "no such path",
}


@functools.lru_cache(maxsize=2048)
def normalised(raw_path: bytes) -> str:
    """The one path everything is decided on; raises Problem 400 when two readers could disagree about it."""
    try:
        path = normalise_path(raw_path.decode("ascii"))
    except UnicodeDecodeError:
        path = None
    if path is None:
        raise Problem(400, "the path cannot be read safely", kind="client", code="BAD_PATH")
    return path


@functools.lru_cache(maxsize=2048)
def encoded(path: str) -> str:
    """The normalised path as it goes to a pool."""
    return quote(path, safe="/~!$&'()*+,;=:@-._")


def header_map(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by lower-case name, the first of a repeated one; raises Problem 431 on a flood."""
    if len(raw) > MAX_HEADERS:
        raise Problem(431, "too many headers", kind="client", code="HEADERS_TOO_LARGE")
    return dict(reversed(raw))


def admit(method: str, path: str, headers: Mapping[bytes, bytes], ring: KeyRing, now: datetime) -> KeyFacts:
    """The caller's key; raises Problem 401, 403 or 404 in the contract's order."""
    offered = _offered_keys(headers)
    facts = _find(ring, offered, now)
    status, code = path_decision(method, path, has_auth=bool(offered), auth_matches=facts is not None)
    if status != 200 or facts is None:
        raise Problem(
            status,
            f"{code}: {_REFUSALS.get(code, 'refused')}",
            kind="client" if code == "NOT_FOUND" else "auth",
            code=code,
        )
    require_scope(facts, SCOPE)
    return facts


def require_scope(facts: KeyFacts, scope: str) -> None:
    if scope not in facts.scopes and "*" not in facts.scopes:
        raise Problem(403, f"this key lacks the scope '{scope}'", kind="auth", code="MISSING_SCOPE")


def authenticate(headers: Mapping[bytes, bytes], ring: KeyRing) -> KeyFacts:
    """The caller's key for paths outside the contract's gate (`/metrics`)."""
    offered = _offered_keys(headers)
    facts = _find(ring, offered, datetime.now(UTC))
    if facts is None:
        code = "BAD_AUTH" if offered else "MISSING_AUTH"
        raise Problem(401, f"{code}: {_REFUSALS[code]}", kind="auth", code=code)
    return facts


def _offered_keys(headers: Mapping[bytes, bytes]) -> list[str]:
    """Bearer first: unmodified SDKs also send a LangSmith key they found in their environment as `x-api-key`."""
    offered = []
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer " and (key := authorization[7:].strip()):
        offered.append(key.decode("latin-1"))
    api_key = headers.get(b"x-api-key")
    if api_key:
        offered.append(api_key.decode("latin-1"))
    return offered


def _find(ring: KeyRing, offered: list[str], now: datetime) -> KeyFacts | None:
    for raw in offered:
        facts = ring.find(raw, now)
        if facts is not None:
            return facts
    return None
