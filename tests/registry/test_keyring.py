from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry_app.keyring import MAX_KEY, KeyFacts, KeyRing, hash_key

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def facts(raw: str, expires_at: datetime | None = None) -> KeyFacts:
    return KeyFacts(hash_key(raw), raw[:8], raw, frozenset({"runs"}), expires_at=expires_at)


def test_a_key_is_known_until_it_expires() -> None:
    ring = KeyRing([facts("first"), facts("second", expires_at=NOW)])
    for _ in range(2):
        for raw in ("first", "second"):
            found = ring.find(raw, NOW - timedelta(seconds=1))
            assert found is not None
            assert found.name == raw
        assert ring.find("second", NOW) is None
        assert ring.find("third", NOW) is None


def test_what_cannot_be_a_key_is_none() -> None:
    long = "k" * (MAX_KEY + 1)
    ring = KeyRing([facts(long), facts("")])
    assert [ring.find(raw, NOW) for raw in (None, "", long)] == [None, None, None]
