"""`/api/traces` and `/api/diagnostics`: actions, trees, runs, export, findings."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from django.http import StreamingHttpResponse
from ninja import Router
from ninja.errors import HttpError
from pydantic import Field

from registry_app.auth import Requires
from traces_app import selectors, services
from traces_app.filters import FilterError
from traces_app.models import StoredFinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

    from traces_app.tree import Node, StitchedTree

router = Router(tags=["traces"])
diagnostics = Router(tags=["diagnostics"])
may_read = Requires("read", "traces_app.view_tracehead")
may_resolve = Requires("routing:write", "traces_app.change_storedfinding")
Limit = Annotated[int, Field(ge=1, le=selectors.MAX_LIMIT)]


@router.get("", auth=may_read, response=dict[str, Any])
def list_actions(request: HttpRequest, q: str = "", cursor: str = "", limit: Limit = 50) -> Any:
    """Actions, newest first; `q` is the filter language, `cursor` the `next_cursor` of the page before."""
    page = _page(q, cursor, limit)
    return {
        "items": [_plain(asdict(row)) for row in page.rows],
        "next_cursor": page.next_cursor or None,
        "total_hint": page.total_hint,
    }


@router.get("/export", auth=may_read)
def export(request: HttpRequest, q: str = "", limit: Limit = 50) -> StreamingHttpResponse:
    """One JSON line for each run of the newest actions that match, payloads included."""
    page = _page(q, "", limit)
    lines = (line for row in page.rows for line in _lines(row.id))
    return StreamingHttpResponse(lines, content_type="application/x-ndjson")


@router.get("/runs/{run_id}", auth=may_read, response=dict[str, Any])
def run(request: HttpRequest, run_id: str) -> Any:
    """One run with its payload."""
    detail = selectors.get_run(run_id)
    if detail is None:
        raise HttpError(404, "run_id: no run of this id is stored")
    return _plain(asdict(detail))


@router.get("/{any_id}/tree", auth=may_read, response=dict[str, Any])
def tree(request: HttpRequest, any_id: str) -> Any:
    """The stitched tree, by LangSmith run or trace id, W3C trace id, request id or dispatch id."""
    return tree_json(_tree(any_id))


@router.get("/{any_id}/export", auth=may_read)
def export_one(request: HttpRequest, any_id: str) -> StreamingHttpResponse:
    """One JSON line for each run of one action, payloads included."""
    _tree(any_id)
    return StreamingHttpResponse(_lines(any_id), content_type="application/x-ndjson")


@diagnostics.get("/findings", auth=may_read, response=dict[str, Any])
def findings(request: HttpRequest, resolved: bool = False, code: str = "", limit: Limit = 50) -> Any:
    """What is wrong and where, last seen first; resolved ones on request."""
    rows = StoredFinding.objects.filter(resolved_at__isnull=not resolved).order_by("-last_seen", "-id")
    if code:
        rows = rows.filter(code=code)
    return {"items": [_finding(row) for row in rows[:limit]]}


@diagnostics.post("/findings/{finding_id}/resolve", auth=may_resolve, response=dict[str, bool])
def resolve(request: HttpRequest, finding_id: int) -> Any:
    """Mark as dealt with; a new sighting opens it again."""
    actor = request.auth.name  # type: ignore[attr-defined]
    return {"resolved": services.resolve_finding(finding_id=finding_id, actor=actor)}


def _page(q: str, cursor: str, limit: int) -> selectors.ActionPage:
    try:
        return selectors.list_actions(q=q, cursor=cursor, limit=limit)
    except FilterError as error:
        raise HttpError(422, f"q: {error}") from None


def _tree(any_id: str) -> StitchedTree:
    found = selectors.get_tree(any_id) if len(any_id) <= 128 and any_id.isprintable() else None
    if found is None:
        raise HttpError(404, "id: no action has this run, trace, W3C trace or request id")
    return found


def tree_json(found: StitchedTree) -> dict[str, Any]:
    """The tree in the shape of the API: a root has `parent_id: null`, costs are numbers of US dollars."""
    return {
        "trace_ids": list(found.trace_ids),
        "state": found.state,
        "missing": [_plain(asdict(gap)) for gap in found.missing],
        "nodes": [_node(node) for node in found.nodes],
        "roots": list(found.roots),
        "story": _plain(asdict(found.story)),
    }


def _node(node: Node) -> dict[str, Any]:
    return {**_plain(asdict(node)), "assistant_id": node.assistant_id or None, "pool": node.pool or None}


def _finding(row: StoredFinding) -> dict[str, Any]:
    sightings = row.sightings.order_by("-id")[:5]
    return {
        **{name: getattr(row, name) for name in _FINDING_FIELDS},
        "traces": [str(one.trace_id) for one in sightings],
        "evidence": next((one.evidence for one in sightings), {}),
    }


_FINDING_FIELDS = (
    "id",
    "code",
    "hop",
    "assistant_id",
    "severity",
    "title",
    "effect",
    "remedy",
    "howto",
    "first_seen",
    "last_seen",
    "count",
    "resolved_at",
    "resolved_by",
)


def _lines(any_id: str) -> Iterator[bytes]:
    found = selectors.get_tree(any_id)
    for node in found.nodes if found else ():
        detail = selectors.get_run(node.run_id) if node.run_id and node.status != "missing" else None
        if detail is not None:
            line = json.dumps(_plain(asdict(detail)), default=_text, ensure_ascii=False)
            yield line.encode("utf-8", "replace") + b"\n"


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _plain(value: Any) -> Any:
    """Dataclass contents as JSON takes them: sums of money as numbers, tuples as lists."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
