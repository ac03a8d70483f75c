"""`/api/traces` and `/api/diagnostics`: actions, trees, runs, export, findings."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import Field

from registry_app.auth import Requires
from traces_app import rollups as rollups_
from traces_app import selectors, services
from traces_app.filters import FilterError
from traces_app.models import DIAGNOSE, Bookmark, Quarantine, StoredFinding
from traces_app.pages.window import LIMIT, Fold, window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

    from django.http import HttpRequest

    from traces_app.tree import Node, StitchedTree

router = Router(tags=["traces"])
diagnostics = Router(tags=["diagnostics"])
#: Lines of an export that leave together.
_TOGETHER = 50
may_read = Requires("read", "traces_app.view_tracehead")
may_resolve = Requires("routing:write", "traces_app.change_storedfinding")
Limit = Annotated[int, Field(ge=1, le=selectors.MAX_LIMIT)]


class Lines(StreamingHttpResponse):
    """JSON lines as they are read: of a plain iterator the framework would take all into memory before the first leaves."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        super().__init__(lines, content_type="application/x-ndjson")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        lines = iter(self)
        read = sync_to_async(lambda: b"".join(islice(lines, _TOGETHER)))
        while piece := await read():
            yield piece


@router.get("", auth=may_read, response=dict[str, Any])
def list_actions(
    request: HttpRequest,
    q: str = "",
    cursor: str = "",
    after: str = "",
    limit: Limit = 50,
) -> Any:
    """Actions, newest first; `q` is the filter language, `cursor` the `next_cursor` of the page before.

    Of a filter that no index answers, a page looks at the newest 20,000 actions from its cursor: `read_until` says how
    far back that was, and `next_cursor` goes on from there. A live tail asks with `after`, the `tail` of its last answer, and `If-None-Match`: 304 while nothing is new.
    """
    page = _page(request, q=q, cursor=cursor, after=after, limit=limit)
    answer = _answer(
        {
            "items": page.rows,
            "next_cursor": page.next_cursor or None,
            "tail": page.rows[0].cursor if page.rows else after or None,
            "total_hint": page.total_hint,
            "read_until": page.read_until,
        }
    )
    etag = f'"{hashlib.sha256(_json(page.rows)).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        answer = HttpResponse(status=304)
    answer["ETag"] = etag
    return answer


@router.get("/export", auth=may_read)
def export(request: HttpRequest, q: str = "", limit: Limit = 50) -> StreamingHttpResponse:
    """One JSON line for each run of the newest actions that match, payloads included."""
    page = _page(request, q=q, limit=limit)
    lines = (line for row in page.rows for line in _lines(row.id))
    return Lines(lines)


@router.get("/rollups", auth=may_read, response=dict[str, Any])
def rollups(
    request: HttpRequest,
    by: Annotated[list[rollups_.Dimension], Query(min_length=1, max_length=3)] = ["assistant_id"],  # noqa: B006
    kind: rollups_.Kind = "root",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Any:
    """Runs, errors, tokens, cost and latency of finished runs by up to three of their marks; the last 24 hours unless said.

    Exact whatever is sampled away. Not for keys that are held to a project: roll-ups are of all projects.
    """
    if project_of(request):
        raise HttpError(403, "roll-ups are of all projects; this key is held to one")
    found = rollups_.rollup(by=by, kind=kind, since=_aware(since), until=_aware(until))
    return _answer({"items": found})


@router.get("/runs/{run_id}", auth=may_read, response=dict[str, Any])
def run(request: HttpRequest, run_id: str) -> Any:
    """One run with its payload."""
    detail = selectors.get_run(run_id)
    project = project_of(request)
    if detail is None or (project and detail.run.project != project):
        raise HttpError(404, "run_id: no run of this id is stored")
    return _answer(detail)


@router.get("/{any_id}/tree", auth=may_read, response=dict[str, Any])
def tree(
    request: HttpRequest,
    any_id: str,
    opened: Annotated[list[str], Query(alias="open", max_length=200)] = [],  # noqa: B006 - ninja copies it
    first: Annotated[int, Query(alias="from", ge=0)] = 0,
    limit: Annotated[int | None, Query(ge=1, le=LIMIT)] = None,
) -> Any:
    """The stitched tree, by LangSmith run or trace id, W3C trace id, request id or dispatch id.

    With `limit` a window of it: `from` counts the rows that are open, `open` names rows to open beyond the upper levels.
    """
    found = _tree(request, any_id, opened)
    if limit is None:
        return _answer(tree_json(found))
    cut = window(found.nodes, Fold(frozenset(opened), frozenset(), first))
    nodes = cut.nodes[:limit]
    place = {"from": cut.before, "after": cut.after + len(cut.nodes) - len(nodes)}
    shut = [node.id for node in nodes if node.id in cut.shut]
    return _answer({**tree_json(replace(found, nodes=nodes)), "window": {**place, "shut": shut}})


@router.get("/{any_id}/export", auth=may_read)
def export_one(request: HttpRequest, any_id: str) -> StreamingHttpResponse:
    """One JSON line for each run of one action, payloads included."""
    _tree(request, any_id)
    return Lines(_lines(any_id))


@diagnostics.get("/findings", auth=may_read, response=dict[str, Any])
def findings(request: HttpRequest, resolved: bool = False, code: str = "", limit: Limit = 50) -> Any:
    """What is wrong and where, last seen first; resolved ones on request.

    `diagnosed_until`: traces without news since then have been looked at.
    """
    rows = StoredFinding.objects.filter(resolved_at__isnull=not resolved).order_by("-last_seen", "-id")
    if code:
        rows = rows.filter(code=code)
    mark = Bookmark.objects.filter(job=DIAGNOSE).first()
    return {
        "items": [_finding(row) for row in rows[:limit]],
        "diagnosed_until": mark.updated_at if mark else None,
    }


@diagnostics.get("/quarantine", auth=may_read, response=dict[str, Any])
def quarantine(request: HttpRequest, limit: Limit = 50) -> Any:
    """Items that ingest refused while it stored the rest of their requests, newest first, each with its reason.

    Not for keys that are held to a project: what cannot be read names none.
    """
    if project_of(request):
        raise HttpError(403, "the quarantine is of all projects; this key is held to one")
    rows = Quarantine.objects.order_by("-received_at").values(
        "received_at", "door", "reason", "item", "excerpt"
    )
    return {"items": list(rows[:limit])}


@diagnostics.post("/findings/{finding_id}/resolve", auth=may_resolve, response=dict[str, bool])
def resolve(request: HttpRequest, finding_id: int) -> Any:
    """Mark as dealt with; a new sighting opens it again."""
    actor = request.auth.name  # type: ignore[attr-defined]
    return {"resolved": services.resolve_finding(finding_id=finding_id, actor=actor)}


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    """UTC when it names no zone."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def project_of(request: HttpRequest) -> str:
    """The project the key is held to, "" for none."""
    return str(request.auth.project)  # type: ignore[attr-defined]


def _page(request: HttpRequest, **wanted: Any) -> selectors.ActionPage:
    try:
        return selectors.list_actions(**wanted, project=project_of(request))
    except FilterError as error:
        raise HttpError(422, f"q: {error}") from None


def _tree(request: HttpRequest, any_id: str, opened: Collection[str] = ()) -> StitchedTree:
    well_formed = len(any_id) <= 128 and any_id.isprintable()
    found = selectors.get_tree(any_id, opened=opened) if well_formed else None
    if found is None or not selectors.may_see(found, project_of(request)):
        raise HttpError(404, "id: no action has this run, trace, W3C trace or request id")
    return found


def tree_json(found: StitchedTree) -> dict[str, Any]:
    """The tree in the shape of the API: a root has `parent_id: null`, costs are numbers of US dollars."""
    return {
        "trace_ids": found.trace_ids,
        "state": found.state,
        "missing": found.missing,
        "nodes": [_node(node) for node in found.nodes],
        "roots": found.roots,
        "story": found.story,
    }


def _node(node: Node) -> Node:
    """The row with null where it has no graph or pool of its own."""
    if node.assistant_id and node.pool:
        return node
    return msgspec.structs.replace(node, assistant_id=node.assistant_id or None, pool=node.pool or None)


def _answer(body: object) -> HttpResponse:
    """Thousands of rows are written straight from their records: the framework's way takes a copy of each."""
    return HttpResponse(_json(body), content_type="application/json")


#: Sums of money are numbers.
_json = msgspec.json.Encoder(decimal_format="number").encode


def _finding(row: StoredFinding) -> dict[str, Any]:
    sightings = row.sightings.order_by("-id")[:5]
    return {
        **{name: getattr(row, name) for name in _FINDING_FIELDS},
        "traces": [str(one.trace_id) for one in sightings if one.trace_id],
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
    for detail in selectors.runs_of(any_id):
        yield _json(detail) + b"\n"
