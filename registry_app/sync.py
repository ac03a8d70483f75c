"""Bring the snapshots of `GraphRecord` to what the code says. The only writer of those fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from contract.graph_spec import GraphSpec, graph_digest, unique
from contract.registry import GRAPHS
from contract.shapes import SHAPES
from registry_app.audit import Actor, acting
from registry_app.models import GraphRecord

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did, by assistant_id."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.missing)


def snapshot(spec: GraphSpec, root: Path) -> dict[str, Any]:
    """The snapshot fields of one row; the source is read as a file, the module is never imported."""
    source = root / spec.source_path
    modified_ns = source.stat().st_mtime_ns if source.is_file() else None
    return dict(_snapshot(spec, source, modified_ns))


@lru_cache(maxsize=4096)
def _snapshot(spec: GraphSpec, source: Path, modified_ns: int | None) -> dict[str, Any]:
    """Pages that show drift ask for every row at each visit: a file that did not change is not digested again."""
    schema = SHAPES[spec.input_shape]
    return {
        "module": spec.module,
        "home_pool": spec.pool,
        "input_shape": spec.input_shape,
        "input_schema": schema,
        "description": spec.description,
        "resumable": spec.resumable,
        "spec_digest": spec.digest(),
        "graph_digest": graph_digest(spec, source=source.read_bytes(), input_schema=schema)
        if modified_ns is not None
        else "",
        "missing_since": None,
    }


def snapshots(specs: tuple[GraphSpec, ...] = GRAPHS) -> dict[str, dict[str, Any]]:
    """The snapshot of each row of the code, by graph."""
    return {spec.assistant_id: snapshot(spec, settings.BASE_DIR) for spec in unique(specs)}


def plan_sync(specs: tuple[GraphSpec, ...] = GRAPHS) -> tuple[SyncResult, dict[str, dict[str, Any]]]:
    """What a sync would do, and the snapshot of each row of the code."""
    wanted = snapshots(specs)
    records = {record.assistant_id: record for record in GraphRecord.objects.all()}
    result = SyncResult(
        added=tuple(name for name in wanted if name not in records),
        changed=tuple(name for name in wanted if name in records and _differs(records[name], wanted[name])),
        missing=tuple(
            name for name, record in records.items() if name not in wanted and record.missing_since is None
        ),
    )
    return result, wanted


def sync_registry(*, actor: Actor | None = None, specs: tuple[GraphSpec, ...] = GRAPHS) -> SyncResult:
    """Upsert a record for each row of the code in one transaction; rows gone from the code are stamped, not deleted."""
    now = timezone.now()
    with acting(actor or Actor.command("sync_registry")):
        result, wanted = plan_sync(specs)
        GraphRecord.objects.bulk_create(
            GraphRecord(assistant_id=name, synced_at=now, **wanted[name]) for name in result.added
        )
        for name in result.changed:
            GraphRecord.objects.filter(pk=name).update(synced_at=now, **wanted[name])
        GraphRecord.objects.filter(pk__in=result.missing).update(missing_since=now)
    return result


def _differs(record: GraphRecord, wanted: dict[str, Any]) -> bool:
    return any(getattr(record, name) != value for name, value in wanted.items())
