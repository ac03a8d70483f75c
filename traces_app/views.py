"""Pages of actions: the list, one action, one step of it, and the diagnostics. Reads only, but for feedback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

from feedback_app import selectors as feedback_selectors
from feedback_app import services as feedback_services
from feedback_app.store import FeedbackError
from platform_site.lib.htmx import render_page, wants_fragment
from routing_app.models import DispatchRecord
from traces_app import selectors
from traces_app.charts.lists import duration_bar
from traces_app.forms import FeedbackForm
from traces_app.models import StoredFinding
from traces_app.pages import panel
from traces_app.pages.catalogue import BY_CODE, CATALOGUE, Entry
from traces_app.pages.rows import tree_table
from traces_app.pages.sentence import default_selection, facts_of
from traces_app.pages.window import Fold

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from traces_app.tree import Node, StitchedTree

ANY_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}")
may_read = permission_required("traces_app.view_tracehead", raise_exception=True)
ADD_FEEDBACK = "feedback_app.add_feedback"
PAGE = "traces/trace.html"
STRIP_ROWS = 4
FINDINGS_SHOWN = 100
STARTERS = (
    "status:error",
    "status:running",
    "has:finding",
    "has:feedback",
    "pool:EMAIL",
    "pool:DISCOVERY",
    "latency:>2s",
    "-assistant:probe_core",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the list with its drawn duration."""

    row: selectors.ActionRow
    bar: SafeString


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of finding with what is open of it."""

    entry: Entry
    times: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader is: the action, the selected step, the open tab."""

    any_id: str
    tree: StitchedTree
    selected: Node | None
    tab: str

    @property
    def base(self) -> str:
        return f"/traces/{self.any_id}/"

    @property
    def panel_base(self) -> str:
        if self.selected is None:
            return self.base
        kind, step = ("runs", self.selected.run_id) if self.selected.run_id else ("hops", self.selected.id)
        return f"{self.base}{kind}/{step}"


@login_required
@may_read
@require_safe
def action_list(request: HttpRequest) -> HttpResponse:
    """Actions, newest first, cut by the filter; everything that shapes it is in the address."""
    query = request.GET.get("q", "").strip()[:2_000]
    cursor = request.GET.get("cursor", "")[:200]
    page, error = None, None
    try:
        page = selectors.list_actions(q=query, cursor=cursor)
    except ValueError as failure:
        error = str(failure)
    context = {
        "q": query,
        "page": page,
        "lines": [Line(row, duration_bar(row.seconds, row.status)) for row in page.rows] if page else [],
        "error": error,
        "first_page": not cursor,
        "starters": STARTERS,
        "newest_href": "/traces/?" + urlencode({"q": query}),
        "older_href": "/traces/?" + urlencode({"q": query, "cursor": page.next_cursor})
        if page and page.next_cursor
        else "",
    }
    return render_page(request, "traces/list.html", context, partial="rows", status=422 if error else 200)


@login_required
@may_read
@require_safe
def trace(request: HttpRequest, any_id: str) -> HttpResponse:
    """One action; what is worth reading first is selected."""
    tree = _tree(request, any_id)
    return _answer(request, Place(any_id, tree, default_selection(tree), request.GET.get("tab", "")))


@login_required
@may_read
@require_safe
def run(request: HttpRequest, any_id: str, run_id: UUID) -> HttpResponse:
    """One action with the panel of a run open; for htmx the panel alone."""
    tree = _tree(request, any_id)
    return _answer(request, Place(any_id, tree, _step(tree, str(run_id)), request.GET.get("tab", "")))


@login_required
@may_read
@require_safe
def hop(request: HttpRequest, any_id: str, step: str) -> HttpResponse:
    """The same for a step that is no run: a caller, a dispatcher, a placeholder."""
    tree = _tree(request, any_id)
    return _answer(request, Place(any_id, tree, _step(tree, step), request.GET.get("tab", "")))


@login_required
@may_read
@require_safe
def diagnostics(request: HttpRequest) -> HttpResponse:
    """The failure catalogue with what stands open of it."""
    standing = StoredFinding.objects.filter(resolved_at=None).order_by("-last_seen", "-id")
    counted = {row["code"]: row for row in standing.order_by().values("code").annotate(n=Sum("count"))}
    context = {
        "standing": standing[:FINDINGS_SHOWN],
        "open_count": standing.count(),
        "rows": [Known(entry, counted.get(entry.code, {}).get("n", 0)) for entry in CATALOGUE],
    }
    return render(request, "diagnostics/list.html", context)


@login_required
@may_read
@require_safe
def how_to(request: HttpRequest, code: str) -> HttpResponse:
    """What a finding means, how to fix it, how to see that it is fixed."""
    if code not in BY_CODE:
        raise Http404("The catalogue has no such finding.")
    return render(request, "diagnostics/howto.html", {"entry": BY_CODE[code]})


@login_required
@may_read
@require_POST
def record(request: HttpRequest, any_id: str, run_id: UUID) -> HttpResponse:
    """Record a person's judgement of a run; 422 with the form when a field is wrong."""
    if not request.user.has_perm(ADD_FEEDBACK):
        raise PermissionDenied("Recording feedback needs the permission feedback_app.add_feedback.")
    tree = _tree(request, any_id)
    place = Place(any_id, tree, _step(tree, str(run_id)), "feedback")
    form = FeedbackForm(request.POST)
    if not form.is_valid() or not _submitted(form, str(run_id), request.user):
        return _answer(request, place, form=form, status=422)
    if not wants_fragment(request):
        return HttpResponseRedirect(f"{place.panel_base}?tab=feedback", status=303)
    return _answer(request, place)


def _submitted(form: FeedbackForm, run_id: str, actor: Any) -> bool:
    data = form.cleaned_data
    try:
        feedback_services.submit_feedback(
            run_id=run_id,
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


def _tree(request: HttpRequest, any_id: str) -> StitchedTree:
    match = request.resolver_match
    selected = match.kwargs.get("run_id", "") if match else ""
    opened = {*_fold(request).opened, str(selected)}
    tree = selectors.get_tree(any_id, opened=opened) if ANY_ID.fullmatch(any_id) else None
    if tree is None:
        raise Http404(f"No action has the id {any_id[:128]}.")
    return tree


def _step(tree: StitchedTree, wanted: str) -> Node:
    for node in tree.nodes:
        if wanted in (node.run_id, node.id):
            return node
    raise Http404(f"The action has no step {wanted[:128]}.")


def _answer(
    request: HttpRequest, place: Place, *, form: FeedbackForm | None = None, status: int = 200
) -> HttpResponse:
    """The page, or the one part htmx has room for: the tree or the panel."""
    feedback = feedback_selectors.for_runs([node.run_id for node in place.tree.nodes if node.run_id])
    context = _panel_context(request, place, feedback, form)
    if wants_fragment(request) and request.headers.get("HX-Target") == "traces-panel":
        response = render(request, "traces/_panel.html", context, status=status)
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        return response
    context |= _page_context(request, place, feedback)
    response = render_page(request, PAGE, context, partial="tree", status=status)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _panel_context(
    request: HttpRequest, place: Place, feedback: dict[str, list[Any]], form: FeedbackForm | None
) -> dict[str, Any]:
    node = place.selected
    common = {"panel_base": place.panel_base, "selected": node}
    if node is None:
        return common
    detail = selectors.get_run(node.run_id) if node.run_id else None
    if detail is None:
        return common | panel.hop_panel(place.tree, node, _hop_facts(node), place.tab)
    rows = feedback.get(node.run_id or "", [])
    return (
        common
        | {
            "feedback_rows": rows,
            "feedback_form": form or FeedbackForm(),
            "may_record": request.user.has_perm(ADD_FEEDBACK),
        }
        | panel.run_panel(
            place.tree, node, detail.run, detail.payload, wanted=place.tab, feedback_count=len(rows)
        )
    )


def _page_context(request: HttpRequest, place: Place, feedback: dict[str, list[Any]]) -> dict[str, Any]:
    story = place.tree.story
    hop_row = next((node for node in place.tree.nodes if node.kind == "dispatcher"), None)
    record_ = (
        DispatchRecord.objects.filter(pk=hop_row.id).first() if hop_row and _is_uuid(hop_row.id) else None
    )
    decided = record_.pool if record_ else hop_row.pool if hop_row else ""
    return {
        "any_id": place.any_id,
        "tree": place.tree,
        "facts": facts_of(place.tree),
        "table": tree_table(
            place.tree,
            base=place.base,
            fold=_fold(request),
            selected=place.selected.id if place.selected else None,
        ),
        "action": story.assistants[0] if story.assistants else story.action,
        "assistant": story.assistants[0] if story.assistants else story.action or "A run",
        "version": story.routing_versions[0] if story.routing_versions else None,
        "digest": record_.routing_digest if record_ else "",
        "graph_digest": record_.executed_graph_digest if record_ else "",
        "decided_pool": decided,
        "other_pools": ", ".join(pool for pool in story.pools if pool != decided),
        "feedback_strip": [row for rows in feedback.values() for row in rows][:STRIP_ROWS],
    }


def _hop_facts(node: Node) -> list[tuple[str, object]]:
    """The dispatch record behind a dispatcher row, field by field."""
    if node.kind != "dispatcher" or not _is_uuid(node.id):
        return []
    found = DispatchRecord.objects.filter(pk=node.id).values().first()
    return [(name.replace("_", " "), value) for name, value in found.items()] if found else []


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _fold(request: HttpRequest) -> Fold:
    first = request.GET.get("from", "0")
    return Fold(
        opened=frozenset(request.GET.getlist("open")[:200]),
        closed=frozenset(request.GET.getlist("closed")[:200]),
        first=int(first) if first.isascii() and first.isdigit() and len(first) < 8 else 0,
    )
