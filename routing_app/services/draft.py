"""The draft: the rows of pools, allowlists and graphs. Edits here change nothing that is live."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from contract.registry import GRAPHS
from registry_app.audit import Actor, acting
from registry_app.models import GraphRecord, PoolReport
from routing_app.models import AllowlistEntry, Pool, RoutingDraft
from routing_app.services.checks import Check, Report, run_checks
from routing_app.services.document import LIMITS, GraphFacts, PoolFacts, build_content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Where a pool of the registry stands in the order when it is first made.
FIRST_ORDER = ("EMAIL", "CLASSIFY", "DISCOVERY")
EDITABLE = ("position", "base_urls", "secret_env", "enabled", *LIMITS)


def pool_facts() -> list[PoolFacts]:
    """The draft's pools in order."""
    return [
        PoolFacts(
            slug=pool.slug,
            urls=tuple(url.rstrip("/") for url in pool.base_urls),
            secret_env=pool.secret_env,
            enabled=pool.enabled,
            assistants=tuple(entry.assistant_id for entry in pool.allowlist.all()),
            limits={name: getattr(pool, name) for name in LIMITS},
        )
        for pool in Pool.objects.prefetch_related("allowlist")
    ]


def graph_facts(records: Iterable[GraphRecord] | None = None) -> list[GraphFacts]:
    """The graphs as recorded, those the code has lost among them; of rows already read, or of all."""
    return [
        GraphFacts(
            assistant_id=record.assistant_id,
            home_pool=record.home_pool,
            enabled=record.enabled,
            disabled_reason=record.disabled_reason,
            resumable=record.resumable,
            input_schema=record.input_schema,
            graph_digest=record.graph_digest,
            sampling=record.sampling,
            timeout_s=record.timeout_s,
            missing=record.missing_since is not None,
        )
        for record in (GraphRecord.objects.all() if records is None else records)
    ]


def draft_content() -> dict[str, Any]:
    """What would be published now, without number and time."""
    return build_content(pool_facts(), graph_facts())


def check_draft(
    pools: Sequence[PoolFacts] | None = None, graphs: Sequence[GraphFacts] | None = None
) -> list[Check]:
    """Every finding on the draft, or on facts already read; the environment is this process's own."""
    reports = [
        Report(report.pool, report.url, report.ok, report.error, report.graphs)
        for report in PoolReport.objects.all()
    ]
    return run_checks(
        pool_facts() if pools is None else pools,
        graph_facts() if graphs is None else graphs,
        has_variable=lambda name: bool(os.environ.get(name)),
        reports=reports,
    )


def base_version() -> int:
    """The revision the draft was made on; 0 before the first."""
    row = RoutingDraft.objects.filter(pk=1).first()
    return row.base_version if row else 0


def ensure_pools(urls: Mapping[str, Sequence[str] | str], *, actor: Actor | None = None) -> list[Pool]:
    """Make the pools of the registry that are missing, point them at these URLs (slug → one or several), and place new
    graphs on their home pool's allowlist. Idempotent; what operators set stays."""
    with acting(actor or Actor.command("bootstrap")):
        for slug in dict.fromkeys((*FIRST_ORDER, *(spec.pool for spec in GRAPHS), *map(str.upper, urls))):
            given = next((value for name, value in urls.items() if name.upper() == slug), None)
            _ensure_pool(slug, [given] if isinstance(given, str) else given)
        place_new_graphs()
        return list(Pool.objects.all())


def _ensure_pool(slug: str, urls: Sequence[str] | None) -> None:
    position = 10 * (FIRST_ORDER.index(slug) + 1) if slug in FIRST_ORDER else 100
    defaults = {"position": position, "secret_env": f"{slug}_WORKER_SECRET", "enabled": urls is not None}
    pool, _ = Pool.objects.get_or_create(slug=slug, defaults=defaults)
    if urls is not None and pool.base_urls != list(urls):
        pool.base_urls = list(urls)
        pool.full_clean(validate_unique=False)
        pool.save(update_fields=["base_urls"])


def place_new_graphs() -> list[str]:
    """Put each graph that was never placed on its home pool's allowlist; inside the caller's transaction."""
    pools = set(Pool.objects.values_list("slug", flat=True))
    new = [
        record
        for record in GraphRecord.objects.filter(placed_at=None, missing_since=None)
        if record.home_pool in pools
    ]
    AllowlistEntry.objects.bulk_create(
        (AllowlistEntry(pool_id=record.home_pool, assistant_id=record.assistant_id) for record in new),
        ignore_conflicts=True,
    )
    GraphRecord.objects.filter(pk__in=[record.pk for record in new]).update(placed_at=timezone.now())
    return [record.assistant_id for record in new]


def save_pool(*, slug: str, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> tuple[Pool, bool]:
    """Create or change a pool; True when it was created. Raises ValidationError naming the field."""
    for name in changes:
        if name not in EDITABLE:
            raise ValidationError({name: "There is no such field."})
    with acting(actor, reason):
        pool = Pool.objects.select_for_update().filter(pk=slug).first()
        created = pool is None
        pool = pool or Pool(slug=slug)
        for name, value in changes.items():
            setattr(pool, name, value)
        pool.full_clean(validate_unique=False)
        pool.save(force_insert=created)
    return pool, created


def delete_pool(*, slug: str, actor: Actor, reason: str = "") -> None:
    """Take a pool and its allowlist out of the draft. Raises Pool.DoesNotExist."""
    with acting(actor, reason):
        Pool.objects.get(pk=slug).delete()


def set_allowlist(*, slug: str, assistants: Iterable[str], actor: Actor, reason: str = "") -> list[str]:
    """Make the pool's allowlist exactly these ids. Raises Pool.DoesNotExist, or ValidationError naming the entry."""
    wanted = list(assistants)
    for index, name in enumerate(wanted):
        if wanted.index(name) != index:
            raise ValidationError({f"assistants[{index}]": f"{name} is listed twice."})
    with acting(actor, reason):
        pool = Pool.objects.select_for_update().get(pk=slug)
        have = set(pool.allowlist.values_list("assistant_id", flat=True))
        entries = [AllowlistEntry(pool=pool, assistant_id=name) for name in wanted]
        for index, entry in enumerate(entries):
            _clean_entry(entry, f"assistants[{index}]")
        AllowlistEntry.objects.bulk_create(entry for entry in entries if entry.assistant_id not in have)
        pool.allowlist.exclude(assistant_id__in=wanted).delete()
    return sorted(wanted)


def set_matrix(*, placements: Mapping[str, Iterable[str]], actor: Actor, reason: str = "") -> None:
    """Set several pools' allowlists in one transaction."""
    with acting(actor, reason):
        for slug, assistants in sorted(placements.items()):
            set_allowlist(slug=slug, assistants=assistants, actor=actor, reason=reason)


def _clean_entry(entry: AllowlistEntry, at: str) -> None:
    try:
        entry.clean_fields(exclude=("pool",))
    except ValidationError as error:
        raise ValidationError({at: error.messages}) from None
