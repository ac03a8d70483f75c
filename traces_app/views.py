"""Pages of one action: its tree, one step of it, feedback on a run, attachments."""

from __future__ import annotations

import dataclasses
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST, require_safe

from feedback_app import selectors as feedback_selectors
from feedback_app import services as feedback_services
from feedback_app.store import FeedbackError
from platform_site.lib.access import needs
from platform_site.lib.htmx import render_page, wants_fragment
from traces_app import selectors, steps
from traces_app.forms import FeedbackForm
from traces_app.listing import neighbours
from traces_app.pages import panel
from traces_app.pages.rows import step_href, tree_table
from traces_app.pages.sentence import default_selection, facts_of, mismatches
from traces_app.pages.window import Fold
from traces_app.store import reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from feedback_app.selectors import FeedbackRow
    from routing_app.models import DispatchRecord
    from traces_app.pages.rows import TreeTable
    from traces_app.tree import Node, StitchedTree

ANY_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}")
may_read = needs("traces_app.view_tracehead")
ADD_FEEDBACK = "feedback_app.add_feedback"
PAGE = "traces/trace.html"
REST = "traces/_tree.html#rows"
STRIP_ROWS = 4
#: What is said of one of so many first runs shows at once; of a later one when its trace is noted, some seconds after.
JUDGED_AT_ONCE = 50
#: Spans and records are on their way for about a second after the answer; a page asks again for so many seconds.
ON_ITS_WAY = 30.0
#: What a browser may show in place: it can hold no script.
INLINE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader is: the action, the selected step, the open tab, the list they came from."""

    any_id: str
    #: Run or node id of the step; None before one is chosen.
    step: str | None
    tab: str
    query: str

    @property
    def base(self) -> str:
        return f"/traces/{self.any_id}/"


@login_required
@may_read
@require_safe
def trace(request: HttpRequest, any_id: str) -> HttpResponse:
    """One action; what is worth reading first is selected. 202 for one that was sent just now and is on its way."""
    try:
        return _page(request, _place(request, any_id, None))
    except Http404:
        if not begun_within(any_id, ON_ITS_WAY):
            raise
        return render(request, "traces/arriving.html", {"any_id": any_id}, status=202)


@login_required
@may_read
@require_safe
def run(request: HttpRequest, any_id: str, run_id: UUID) -> HttpResponse:
    """One action with the panel of a run open; for htmx the panel alone, which needs no stitching."""
    return _answer(request, _place(request, any_id, str(run_id)))


@login_required
@may_read
@require_safe
def hop(request: HttpRequest, any_id: str, step: str) -> HttpResponse:
    """The same for a step that is no run: a caller, a dispatcher, a placeholder."""
    return _answer(request, _place(request, any_id, step))


@login_required
@may_read
@require_safe
def attachment(request: HttpRequest, any_id: str, run_id: UUID, name: str) -> HttpResponse:
    """The bytes of an attachment. Only raster images open in the browser; all else is saved."""
    with connection.cursor() as cursor:
        found = reader.load_attachment(cursor, str(run_id), name)
    if found is None:
        raise Http404(f"The run has no attachment {name[:100]}.")
    content_type, data = found
    shown = content_type in INLINE_TYPES
    response = HttpResponse(data, content_type=content_type if shown else "application/octet-stream")
    response.headers["Content-Disposition"] = (
        content_disposition_header(as_attachment=not shown, filename=name) or "attachment"
    )
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@login_required
@may_read
@require_POST
def record(request: HttpRequest, any_id: str, run_id: UUID) -> HttpResponse:
    """Record a person's judgement of a run; 422 with the form when a field is wrong."""
    if not request.user.has_perm(ADD_FEEDBACK):
        raise PermissionDenied("Recording feedback needs the permission feedback_app.add_feedback.")
    place = dataclasses.replace(_place(request, any_id, str(run_id)), tab="feedback")
    step = steps.run_step(str(run_id))
    if step is None:
        raise Http404(f"No run {run_id} is stored.")
    form = FeedbackForm(request.POST)
    if not form.is_valid() or not _submitted(form, step.node, request.user):
        return _answer(request, place, form=form, status=422)
    if not wants_fragment(request):
        return HttpResponseRedirect(f"{place.base}runs/{run_id}?tab=feedback", status=303)
    return _answer(request, place)


def begun_within(any_id: str, seconds: float) -> bool:
    """Whether the id says itself that it was made so lately: run ids of pools are UUIDs of version 7."""
    try:
        made = UUID(any_id)
    except ValueError:
        return False
    return made.version == 7 and abs(time.time() - (made.int >> 80) / 1000) < seconds


def _submitted(form: FeedbackForm, run: Node, actor: Any) -> bool:
    data = form.cleaned_data
    try:
        feedback_services.submit_feedback(
            run_id=run.id,
            trace_id=run.trace_id,
            key=data["key"],
            score=data["score"],
            value=data["value"] or None,
            comment=data["comment"],
            source="human",
            actor=actor.get_username(),
        )
    except FeedbackError as failure:
        form.add_error(failure.field if failure.field in form.fields else None, failure.message)
        return False
    return True


def _place(request: HttpRequest, any_id: str, step: str | None) -> Place:
    if not ANY_ID.fullmatch(any_id):
        raise Http404(f"No action has the id {any_id[:128]}.")
    return Place(any_id, step, request.GET.get("tab", ""), request.GET.get("q", "").strip()[:2_000])


def _tree(request: HttpRequest, place: Place) -> StitchedTree:
    """The action; of one too large to read whole, the open rows and those around the selected step."""
    opened = {*_fold(request, place.query).opened, place.step or ""}
    tree = selectors.get_tree(place.any_id, opened=opened)
    if tree is None:
        raise Http404(f"No action has the id {place.any_id[:128]}.")
    return tree


def _node_of(tree: StitchedTree, wanted: str) -> Node:
    for node in tree.nodes:
        if wanted in (node.run_id, node.id):
            return node
    raise Http404(f"The action has no step {wanted[:128]}.")


def _answer(
    request: HttpRequest, place: Place, *, form: FeedbackForm | None = None, status: int = 200
) -> HttpResponse:
    """The panel alone when htmx asks for it, else the page."""
    if not (wants_fragment(request) and request.headers.get("HX-Target") == "traces-panel"):
        return _page(request, place, form=form, status=status)
    step = _step(place.step or "")
    if step is None:
        tree = _tree(request, place)
        step = steps.tree_step(tree, _node_of(tree, place.step or ""))
    context = _panel_context(request, place, step, form)
    response = render(request, "traces/_panel.html", context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _step(wanted: str) -> steps.Step | None:
    """The step by its own rows; None for callers and placeholders, which only the tree knows."""
    if not reader.valid_uuid(wanted):
        return None
    return steps.run_step(wanted) or steps.hop_step(wanted)


def _page(
    request: HttpRequest, place: Place, *, form: FeedbackForm | None = None, status: int = 200
) -> HttpResponse:
    """The whole action; for htmx its tree alone, or the rows that the page began without."""
    tree = _tree(request, place)
    node = _node_of(tree, place.step) if place.step else default_selection(tree)
    fragment = wants_fragment(request)
    if fragment and request.headers.get("HX-Target") == "traces-rest":
        response = render(request, REST, {"tree": tree, "table": _table(request, place, tree, node, "rest")})
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        return response
    newest, told = _feedback(tree, node)
    context: dict[str, Any] = {"selected": None}
    if node is not None:
        context = _panel_context(request, place, steps.tree_step(tree, node), form, told)
    context |= _page_context(place, tree, node) | {"feedback_strip": newest}
    whole = fragment or asked_number(request, "from")  # who asks for what follows has seen the beginning
    context["table"] = _table(request, place, tree, node, "all" if whole else "opening")
    response = render_page(request, PAGE, context, partial="tree", status=status)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _feedback(
    tree: StitchedTree, node: Node | None
) -> tuple[Sequence[FeedbackRow], Sequence[FeedbackRow] | None]:
    """The newest that was said of the action, and all that was of the step; None when the newest need not hold that."""
    runs = {node.run_id for node in tree.nodes[:JUDGED_AT_ONCE] if node.run_id}
    run_id = node.run_id if node else None
    found = feedback_selectors.newest_of(tree.trace_ids, runs | {run_id} if run_id else runs, STRIP_ROWS + 1)
    told = None if len(found) > STRIP_ROWS else [row for row in found if row.run_id == run_id]
    return found[:STRIP_ROWS], told


def _panel_context(
    request: HttpRequest,
    place: Place,
    step: steps.Step,
    form: FeedbackForm | None,
    told: Sequence[FeedbackRow] | None = None,
) -> dict[str, Any]:
    """`told` is what was said of the step, when that is known already."""
    node = step.node
    common = {
        "panel_base": step_href(node, place.base),
        "panel_query": urlencode({"q": place.query}) if place.query else "",
    }
    if step.detail is None:
        facts = record_facts(step.record) if step.record else []
        return common | panel.hop_panel(step.path, node, facts, place.tab)
    rows = feedback_selectors.for_runs([node.run_id]).get(node.run_id or "", []) if told is None else told
    return (
        common
        | {
            "feedback_rows": rows,
            "feedback_form": form or FeedbackForm(),
            "may_record": request.user.has_perm(ADD_FEEDBACK),
            "replayable": node.kind == "pool" and bool(node.assistant_id),
        }
        | panel.run_panel(
            step.path, node, step.detail.run, step.detail.payload, wanted=place.tab, feedback_count=len(rows)
        )
    )


def _table(
    request: HttpRequest,
    place: Place,
    tree: StitchedTree,
    selected: Node | None,
    part: Literal["all", "opening", "rest"],
) -> TreeTable:
    fold, marked = _fold(request, place.query), selected.id if selected else None
    return tree_table(tree, base=place.base, fold=fold, selected=marked, part=part)


def _page_context(place: Place, tree: StitchedTree, selected: Node | None) -> dict[str, Any]:
    story = tree.story
    hops = [node for node in tree.nodes if node.kind == "dispatcher" and reader.valid_uuid(node.id)]
    root = next((one for one in tree.nodes if one.kind == "pool" and one.run_id), None)
    decided = hops[0].pool if hops else root.pool if root else ""
    judged = root or selected  # an outcome is the action's, whichever of its steps is looked at
    before, after = neighbours([*tree.trace_ids, *(hop.id for hop in hops)], place.query)
    return {
        "any_id": place.any_id,
        "tree": tree,
        "facts": facts_of(tree),
        "action": story.assistants[0] if story.assistants else story.action,
        "assistant": story.assistants[0] if story.assistants else story.action or "A run",
        "version": story.routing_versions[0] if story.routing_versions else None,
        "digest": story.routing_digest,
        "graph_digest": story.executed_graph_digest,
        "decided_pool": decided,
        "other_pools": ", ".join(pool for pool in story.pools if pool != decided),
        "mismatches": mismatches(tree) if story.decided_is_executed is False else (),
        "touch_run": root.run_id if root else None,
        "record_href": step_href(judged, place.base) + "?tab=feedback" if judged and judged.run_id else "",
        "list_href": "/traces/?" + urlencode({"q": place.query}) if place.query else "/traces/",
        "previous_href": _action_href(before, place.query),
        "next_href": _action_href(after, place.query),
    }


def _action_href(trace_id: str | None, query: str) -> str:
    if trace_id is None:
        return ""
    return f"/traces/{trace_id}/" + ("?" + urlencode({"q": query}) if query else "")


def record_facts(record: DispatchRecord) -> list[tuple[str, object]]:
    """The dispatch record behind a dispatcher row, field by field."""
    return [
        (field.name.replace("_", " "), getattr(record, field.attname))
        for field in record._meta.concrete_fields
    ]


def _fold(request: HttpRequest, query: str) -> Fold:
    return Fold(
        opened=frozenset(request.GET.getlist("open")[:200]),
        closed=frozenset(request.GET.getlist("closed")[:200]),
        first=asked_number(request, "from"),
        level=min(asked_number(request, "level"), 99),
        find=request.GET.get("find", "").strip()[:200],
        query=query,
    )


def asked_number(request: HttpRequest, name: str) -> int:
    given = request.GET.get(name, "0")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 8 else 0
