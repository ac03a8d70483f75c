"""Where code, records, draft, live routing and pools disagree. Pure; shown in five places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Kind → what to do about it.
REMEDIES = {
    "new_in_code": "Run `manage.py sync_registry`.",
    "missing_in_code": "Take it off the allowlists and publish, or bring its row back to `contract/registry.py`.",
    "spec_changed": "Run `manage.py sync_registry`, then publish.",
    "unrouted": "Put it on a pool's allowlist and publish.",
    "allowlisted_unknown": "Take the id off the allowlist.",
    "allowlisted_twice": "Take it off all pools but one.",
    "disabled_but_live": "Publish, so that callers are told.",
    "pool_lacks_graph": "Deploy the graph to the pool, or move it off the pool's allowlist.",
    "pool_has_old_spec": "Restart the pool's workers with the present code, or publish what they run.",
    "unpublished_draft": "Publish the draft, or discard it.",
}


@dataclass(frozen=True, slots=True)
class Drift:
    kind: str
    subject: str
    message: str

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True)
class RecordState:
    """What the database keeps of one graph."""

    assistant_id: str
    spec_digest: str
    graph_digest: str
    enabled: bool = True
    missing: bool = False


@dataclass(frozen=True, slots=True)
class PoolState:
    """An enabled pool of the draft, and what its replicas attested (None: never asked, or no answer)."""

    slug: str
    assistants: tuple[str, ...]
    attested: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """`code` maps assistant_id to (row digest, graph digest); `live` is the published document or None."""

    code: Mapping[str, tuple[str, str]]
    records: Sequence[RecordState] = ()
    pools: Sequence[PoolState] = ()
    live: Mapping[str, Any] | None = None
    unpublished: int = 0


def find_drift(facts: Facts) -> list[Drift]:
    """Every disagreement, in a stable order."""
    return [*_records(facts), *_allowlists(facts), *_live(facts), *_attested(facts)]


def _records(facts: Facts) -> Iterator[Drift]:
    known = {record.assistant_id: record for record in facts.records}
    for name, digests in sorted(facts.code.items()):
        record = known.get(name)
        if record is None:
            yield Drift("new_in_code", name, f"The code has {name}; the records do not.")
        elif (record.spec_digest, record.graph_digest) != digests:
            yield Drift("spec_changed", name, f"The code of {name} changed since the last sync.")
    for name in sorted(known.keys() - facts.code.keys()):
        yield Drift("missing_in_code", name, f"The records have {name}; the code does not.")


def _allowlists(facts: Facts) -> Iterator[Drift]:
    listed = Counter(name for pool in facts.pools for name in pool.assistants)
    for name, count in sorted(listed.items()):
        if name not in facts.code:
            yield Drift(
                "allowlisted_unknown", name, f"{name} is on an allowlist, but no graph is called that."
            )
        if count > 1:
            yield Drift("allowlisted_twice", name, f"{name} is on the allowlists of {count} enabled pools.")
    for name in sorted(facts.code.keys() - listed.keys()):
        yield Drift("unrouted", name, f"No enabled pool lists {name}; calls fall through to CORE.")


def _live(facts: Facts) -> Iterator[Drift]:
    live = (facts.live or {}).get("graphs", {})
    for record in facts.records:
        if not record.enabled and live.get(record.assistant_id, {}).get("enabled"):
            text = f"{record.assistant_id} is disabled here, but live routing still runs it."
            yield Drift("disabled_but_live", record.assistant_id, text)
    if facts.unpublished:
        plural = "change is" if facts.unpublished == 1 else "changes are"
        yield Drift("unpublished_draft", "draft", f"{facts.unpublished} {plural} not published.")


def _attested(facts: Facts) -> Iterator[Drift]:
    for pool in facts.pools:
        if pool.attested is None:
            continue
        for name in pool.assistants:
            have = pool.attested.get(name, "")
            want = facts.code.get(name, ("", ""))[1]
            if not have:
                yield Drift(
                    "pool_lacks_graph", name, f"{pool.slug} lists {name}, but its workers do not serve it."
                )
            elif want and have != want:
                yield Drift(
                    "pool_has_old_spec", name, f"{pool.slug} runs another version of {name} than the code."
                )
