"""Every live API key in memory, for the parts that answer without a database. No Django; hashes only."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

MAX_KEY = 1_000  # characters; longer ones are not hashed at all

_QUERY = """
    SELECT key_hash, prefix, name, scopes, project, trusted_tracing, expires_at
    FROM registry_app_apikey WHERE revoked_at IS NULL
"""


def hash_key(raw: str) -> str:
    """SHA-256 (hex). Keys are long and random, so a slow hash would protect nothing and cost each request."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What a key opens. Holds the hash, never the key."""

    key_hash: str
    prefix: str
    name: str
    scopes: frozenset[str]
    project: str = ""
    trusted_tracing: bool = True
    expires_at: datetime | None = None

    def allows(self, scope: str) -> bool:
        return "*" in self.scopes or scope in self.scopes

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def sign(self, text: str) -> str:
        """A mark on the text that opens what it names without the key, for as long as the key is live."""
        return hmac.new(self.key_hash.encode(), text.encode(), "sha256").hexdigest()


class KeyRing:
    """The keys by hash. Immutable: a change of keys makes a new ring."""

    def __init__(self, facts: Iterable[KeyFacts] = ()) -> None:
        self._by_hash = {item.key_hash: item for item in facts}

    def __len__(self) -> int:
        return len(self._by_hash)

    def find(self, raw: str | None, now: datetime) -> KeyFacts | None:
        """The key's facts, or None when it is unknown, revoked or expired at `now` (aware)."""
        if not raw or len(raw) > MAX_KEY:
            return None
        digest = hash_key(raw)
        facts = self._by_hash.get(digest)
        if facts is None or not hmac.compare_digest(facts.key_hash, digest) or facts.expired(now):
            return None
        return facts

    def signer(self, text: str, mark: str, now: datetime) -> KeyFacts | None:
        """The facts of the key that put the mark on the text, None when no live one did."""
        for facts in self._by_hash.values():
            if hmac.compare_digest(facts.sign(text).encode(), mark.encode()) and not facts.expired(now):
                return facts
        return None

    def to_json(self) -> bytes:
        """For the copy on disk, which is read when the database is away."""
        rows = [
            {
                **asdict(item),
                "scopes": sorted(item.scopes),
                "expires_at": item.expires_at.isoformat() if item.expires_at else None,
            }
            for item in self._by_hash.values()
        ]
        return json.dumps(rows).encode()

    @classmethod
    def from_json(cls, raw: bytes | str) -> KeyRing:
        """The ring of `to_json`. Raises KeyError, TypeError or ValueError when it is none."""
        return cls(
            KeyFacts(
                **{
                    **row,
                    "scopes": frozenset(row["scopes"]),
                    "expires_at": datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
                }
            )
            for row in json.loads(raw)
        )


async def load_keyring(connection: psycopg.AsyncConnection[Any]) -> KeyRing:
    """Every key that is not revoked. Expiry is looked at on each use."""
    from psycopg.rows import tuple_row

    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_QUERY)
        rows = await cursor.fetchall()
    return KeyRing(
        KeyFacts(digest, prefix, name, frozenset(scopes), project, trusted, expires)
        for digest, prefix, name, scopes, project, trusted, expires in rows
    )
