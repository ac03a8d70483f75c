"""Writes of the observability plane that are not ingest: findings kept and resolved, feedback tied to runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.utils import timezone

from feedback_app.selectors import unbound_run_ids
from feedback_app.services import RunFacts, bind_runs, place_runs
from traces_app.diagnose import past_the_dispatcher
from traces_app.models import RedactionRule, StoredFinding
from traces_app.stitch import STALL_AFTER
from traces_app.store import reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from routing_app.probes import RefusedCall
    from traces_app.rows import RunRow
    from traces_app.tree import Finding, StitchedTree

BIND_EVERY_S = 15
_PLACE = """
INSERT INTO traces_app_storedfinding
    (code, hop, assistant_id, severity, title, effect, remedy, howto, first_seen, last_seen, count, resolved_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, '')
ON CONFLICT (code, hop, assistant_id) DO UPDATE SET code = EXCLUDED.code RETURNING id
"""
_SIGHTING = """
INSERT INTO traces_app_findingsighting (finding_id, node_id, trace_id, seen_at, evidence)
VALUES (%s, %s, %s, %s, %s::jsonb) ON CONFLICT (finding_id, node_id) DO NOTHING RETURNING id
"""
# A new sighting opens a resolved finding again: it was not fixed after all.
_COUNT = """
UPDATE traces_app_storedfinding SET count = count + 1, last_seen = greatest(last_seen, %s), severity = %s,
    title = %s, effect = %s, remedy = %s, resolved_at = NULL, resolved_by = '' WHERE id = %s
"""


@transaction.atomic
def store_findings(tree: StitchedTree, *, now: datetime | None = None) -> int:
    """Keep what is wrong with an action; returns how many sightings were new. Doing it again adds nothing."""
    seen_at = now or timezone.now()
    trace_id = next((node.trace_id for node in tree.nodes if node.trace_id), "")
    if not trace_id:
        return 0
    told = [(node, finding) for node in tree.nodes for finding in node.findings]
    # Sorted by place, so that two actions stored at once never wait for each other in a ring.
    told.sort(key=lambda one: (one[1].code, one[1].hop, one[0].assistant_id, one[0].id))
    return sum(_store(finding, node.id, node.assistant_id, trace_id, seen_at) for node, finding in told)


@transaction.atomic
def store_refused_calls(calls: Iterable[RefusedCall]) -> int:
    """Keep what workers turned away at their doors, each call once; returns how many were new."""
    ordered = sorted(calls, key=lambda call: (call.pool, call.id))
    return sum(_store(past_the_dispatcher(call), call.id, "", call.trace_id, call.at) for call in ordered)


def _store(finding: Finding, node_id: str, assistant_id: str, trace_id: str, seen_at: datetime) -> bool:
    told = (finding.title, finding.effect, finding.remedy)
    with connection.cursor() as cursor:
        place = (finding.code, finding.hop, assistant_id, finding.severity, *told, finding.howto)
        cursor.execute(_PLACE, (*place, seen_at, seen_at))
        finding_id = cursor.fetchone()[0]
        evidence = json.dumps(dict(finding.evidence), default=str).replace("\\u0000", "")
        cursor.execute(_SIGHTING, (finding_id, node_id, trace_id or None, seen_at, evidence))
        if cursor.fetchone() is None:
            return False
        cursor.execute(_COUNT, (seen_at, finding.severity, *told, finding_id))
    return True


def resolve_finding(*, finding_id: int, actor: str) -> bool:
    """Mark a finding as dealt with. False when it was; raises StoredFinding.DoesNotExist."""
    found = StoredFinding.objects.get(pk=finding_id)
    changed = StoredFinding.objects.filter(pk=found.pk, resolved_at=None).update(
        resolved_at=timezone.now(), resolved_by=actor
    )
    return bool(changed)


def bind_feedback() -> int:
    """Tie waiting feedback to the runs that have arrived since; returns how many rows were bound."""
    now = timezone.now()
    waiting = unbound_run_ids(turn=int(now.timestamp()) // BIND_EVERY_S)
    if not waiting:
        return 0
    with connection.cursor() as cursor:
        arrived = reader.load_runs_by_id(cursor, waiting)
        runs = [run for run in arrived if is_told(run, now)]
        calls = reader.load_model_calls(cursor, [run.run_id for run in runs]) if runs else {}
    place_runs(runs=[(run.run_id, run.trace_id, run.project) for run in arrived if not is_told(run, now)])
    return bind_runs(facts=[facts_of(run, calls.get(run.run_id, ())) for run in runs])


def is_told(run: RunRow, now: datetime) -> bool:
    """Whether all that a run did has arrived: it ended, or nobody will say so any more."""
    return run.end is not None or run.start is None or now - run.start > STALL_AFTER


def facts_of(run: RunRow, calls: Sequence[RunRow]) -> RunFacts:
    """What is said of a run itself; of models and prompts what its calls of models say."""
    said = [run] if run.model or prompt_of(run) else calls
    return RunFacts(
        run_id=run.run_id,
        trace_id=run.trace_id,
        assistant_id=run.assistant_id or "",
        pool=run.pool or "",
        model=", ".join(sorted({call.model for call in said if call.model})),
        prompt_version=", ".join(sorted(set(filter(None, map(prompt_of, said))))),
        routing_version=run.routing_version,
        project=run.project,
    )


def prompt_of(run: RunRow) -> str:
    """The version of the prompt a run was made with, after the prompt's name where it says one."""
    version = run.metadata.get("prompt_version") or run.metadata.get("agentic.prompt_version")
    return f"{run.metadata.get('prompt') or ''} {version}".strip() if version else ""


def redacted(value: Any, project: str) -> Any:
    """The JSON value without what no door may store, by the rules of the project."""
    from traces_app.ingest.redact import Redactor, valid_rules

    rows = RedactionRule.objects.filter(enabled=True, project__in=("", project))
    rules = valid_rules(rows.values_list("kind", "expression", "project", "replacement"))
    return Redactor(rules).for_project(project).clean(value)
