"""From draft to live: numbered, immutable revisions, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from contract.routing_document import ENVELOPE, check_shape, digest
from registry_app.audit import Actor, acting
from routing_app.models import AllowlistEntry, Pool, RoutingDraft, RoutingRevision
from routing_app.services.document import (
    LIMITS,
    Change,
    GraphFacts,
    PoolFacts,
    build_content,
    conflicts,
    diff,
)
from routing_app.services.draft import check_draft, draft_content, graph_facts, pool_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routing_app.services.checks import Check

MAX_REASON = 2_000


class StaleBase(Exception):
    """The draft was made on another revision than the live one. Holds what must be decided."""

    def __init__(self, *, base_version: int, live_version: int, changes: list[Change]) -> None:
        super().__init__(f"The draft was made on revision {base_version}; revision {live_version} is live.")
        self.base_version = base_version
        self.live_version = live_version
        self.changes = changes


class ChecksFailed(Exception):
    """The draft has findings that must be mended first."""

    def __init__(self, checks: list[Check]) -> None:
        self.errors = [check for check in checks if check.level == "error"]
        super().__init__(" ".join(check.message for check in self.errors))


def publish_routing(*, actor: Actor, reason: str, base_version: int) -> RoutingRevision:
    """Make the draft live. `base_version` is the live revision the publisher has seen (0 before the first).

    Raises StaleBase, ChecksFailed, or ValidationError naming the field; nothing is written then.
    """
    _check_reason(reason)
    with acting(actor, reason):
        _lock()
        if base_version != live_version():
            raise _stale(base_version, live_revision())
        pools, graphs = pool_facts(), graph_facts()
        checks = check_draft(pools, graphs)
        if any(check.level == "error" for check in checks):
            raise ChecksFailed(checks)
        revision = _write(build_content(pools, graphs), actor=actor, reason=reason, base_version=base_version)
        _set_base(revision.version)
    return revision


def rollback(*, actor: Actor, reason: str, version: int) -> RoutingRevision:
    """Publish an older revision's content as a new number.

    A draft without edits follows it. One with edits is kept on its old base, so that it cannot undo the roll-back
    before somebody has looked. Raises ValidationError naming the field.
    """
    _check_reason(reason)
    with acting(actor, reason):
        draft = _lock()
        live = live_revision()
        old = RoutingRevision.objects.filter(version=version).first()
        if old is None:
            raise ValidationError({"version": f"There is no revision {version}."})
        follows = (
            live is not None
            and draft.base_version == live.version
            and not diff(live.document, draft_content())
        )
        revision = _write(
            _content(old.document),
            actor=actor,
            reason=reason,
            base_version=_version(live),
            rollback_of=version,
        )
        if follows:
            _load(revision)
    return revision


def resolve_draft(*, actor: Actor, decision: str, live_version: int) -> None:
    """Settle a draft made on an older revision: `keep` its edits on top of the live one, or `discard` them.

    Raises StaleBase when yet another revision went live meanwhile, ValidationError on another decision.
    """
    if decision not in ("keep", "discard"):
        raise ValidationError({"decision": "Choose keep or discard."})
    with acting(actor, f"draft: {decision}"):
        draft = _lock()
        live = live_revision()
        if live is None or live.version != live_version:
            raise _stale(live_version, live)
        if decision == "keep":
            draft.base_version = live.version
            draft.save(update_fields=["base_version"])
        else:
            _load(live)


def publish_deployment(
    *, actor: Actor, reason: str, urls: Mapping[str, str | list[str]] | None = None
) -> RoutingRevision:
    """Bring the live document to this deployment's addresses and code, leaving unpublished edits of operators alone.

    The first time the draft itself is published. Returns the live revision, the old one when nothing changed.
    """
    live = live_revision()
    if live is None:
        return publish_routing(actor=actor, reason=reason, base_version=0)
    with acting(actor, reason):
        draft = _lock()
        live = live_revision()
        assert live is not None  # noqa: S101 - revisions are never deleted
        content = _deployed(live.document, {slug.upper(): value for slug, value in (urls or {}).items()})
        if not diff(live.document, content):
            return live
        revision = _write(content, actor=actor, reason=reason, base_version=live.version)
        if draft.base_version == live.version:
            _set_base(revision.version)
    return revision


def live_revision() -> RoutingRevision | None:
    return RoutingRevision.objects.order_by("-version").first()


def live_summary() -> RoutingRevision | None:
    """The live revision without its document, which is most of what reading it costs."""
    return RoutingRevision.objects.defer("document").order_by("-version").first()


def live_version() -> int:
    """0 before the first publication."""
    return RoutingRevision.objects.order_by("-version").values_list("version", flat=True).first() or 0


def pending_changes(live: RoutingRevision | None) -> list[Change]:
    """What publishing the draft now would change of the live revision."""
    return diff(live.document if live else None, draft_content())


def draft_conflicts() -> list[Change]:
    """Fields that both the draft and a revision published since its base have changed."""
    live, base = live_revision(), _base_document()
    return conflicts(base, live.document, draft_content()) if live else []


def _deployed(document: Mapping[str, Any], urls: Mapping[str, str | list[str]]) -> dict[str, Any]:
    records = {graph.assistant_id: graph for graph in graph_facts() if not graph.missing}
    known = {name for route in _all_routes(document) for name in route["assistants"]}
    draft = {pool.slug: pool for pool in pool_facts()}
    pools = []
    for route in _all_routes(document):
        slug = route["prefix"]
        given = urls.get(slug, route["urls"])
        # A graph the code has gained is placed where the draft has it; one it has lost is taken off.
        gained = (
            [name for name in draft[slug].assistants if name in records and name not in known]
            if slug in draft
            else []
        )
        kept = [name for name in route["assistants"] if name in records]
        at = (given,) if isinstance(given, str) else tuple(given)
        pools.append(PoolFacts(slug, at, route["secret_env"], True, (*kept, *gained), route["limits"]))
    return build_content(
        pools, [_live_settings(graph, document["graphs"].get(name)) for name, graph in records.items()]
    )


def _live_settings(graph: GraphFacts, entry: Mapping[str, Any] | None) -> GraphFacts:
    """The code's facts of the graph with the operational settings that are live."""
    if entry is None:
        return graph
    return GraphFacts(
        assistant_id=graph.assistant_id,
        home_pool=graph.home_pool,
        enabled=entry["enabled"],
        disabled_reason=entry["reason"],
        resumable=graph.resumable,
        input_schema=graph.input_schema,
        graph_digest=graph.graph_digest,
        sampling=entry["sampling"],
        timeout_s=entry["timeout_s"],
    )


def _write(
    content: dict[str, Any], *, actor: Actor, reason: str, base_version: int, rollback_of: int | None = None
) -> RoutingRevision:
    version, now = base_version + 1, timezone.now()  # the lock is held: the base is the live one
    document = {**content, "version": version, "digest": digest(content), "published_at": now.isoformat()}
    check_shape(document)
    return RoutingRevision.objects.create(
        version=version,
        document=document,
        digest=document["digest"],
        reason=reason,
        author_id=actor.user_id,
        author_name=actor.name,
        base_version=base_version,
        rollback_of=rollback_of,
        published_at=now,
    )


def _load(revision: RoutingRevision) -> None:
    """Make the draft's rows what the revision says. Graphs' identities stay the code's."""
    document = revision.document
    keep = []
    for position, route in enumerate([*document["routes"], document["core"]], start=1):
        slug = route["prefix"]
        fields = {name: route["limits"][name] for name in LIMITS}
        Pool.objects.update_or_create(
            slug=slug,
            defaults={
                "position": 10 * position,
                "base_urls": route["urls"],
                "secret_env": route["secret_env"],
                "enabled": True,
                **fields,
            },
        )
        AllowlistEntry.objects.filter(pool_id=slug).exclude(assistant_id__in=route["assistants"]).delete()
        have = set(AllowlistEntry.objects.filter(pool_id=slug).values_list("assistant_id", flat=True))
        AllowlistEntry.objects.bulk_create(
            AllowlistEntry(pool_id=slug, assistant_id=name)
            for name in route["assistants"]
            if name not in have
        )
        keep.append(slug)
    Pool.objects.exclude(slug__in=keep).filter(enabled=True).update(enabled=False)
    _load_graphs(document["graphs"])
    _set_base(revision.version)


def _load_graphs(graphs: Mapping[str, Mapping[str, Any]]) -> None:
    from registry_app.models import GraphRecord

    for record in GraphRecord.objects.filter(pk__in=graphs.keys()):
        entry = graphs[record.pk]
        wanted = (entry["enabled"], entry["sampling"], entry["timeout_s"])
        if (record.enabled, record.sampling, record.timeout_s) != wanted:
            record.enabled, record.sampling, record.timeout_s = wanted
            record.disabled_reason = entry["reason"]
            record.save(update_fields=["enabled", "sampling", "timeout_s", "disabled_reason"])


def _lock() -> RoutingDraft:
    """The draft's row, locked: whoever publishes, rolls back or settles waits here."""
    RoutingDraft.objects.get_or_create(pk=1)
    return RoutingDraft.objects.select_for_update().get(pk=1)


def _set_base(version: int) -> None:
    RoutingDraft.objects.filter(pk=1).update(base_version=version)


def _base_document() -> Mapping[str, Any] | None:
    row = RoutingDraft.objects.filter(pk=1).first()
    base = RoutingRevision.objects.filter(version=row.base_version).first() if row else None
    return base.document if base else None


def _stale(base: int, live: RoutingRevision | None) -> StaleBase:
    seen = RoutingRevision.objects.filter(version=base).first()
    changes = diff(seen.document if seen else None, live.document) if live else []
    return StaleBase(base_version=base, live_version=_version(live), changes=changes)


def _version(revision: RoutingRevision | None) -> int:
    return revision.version if revision else 0


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ENVELOPE}


def _all_routes(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*document["routes"], document["core"]]


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": "Say why; it stays with the revision."})
    if len(reason) > MAX_REASON:
        raise ValidationError({"reason": f"At most {MAX_REASON} characters."})
    if any(char < " " and char not in "\n\r\t" for char in reason):
        raise ValidationError({"reason": "Control characters are not allowed."})
