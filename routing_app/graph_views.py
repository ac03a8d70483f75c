"""Registry pages: the graphs, one graph, the audit. They stand here because they show where a graph runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from fleet.sdk import LangGraphError, run_graph_with_meta
from platform_site.lib.access import needs
from registry_app.evaluations import evaluations_of
from registry_app.models import AuditEntry, GraphRecord
from routing_app.run_form import RunForm
from routing_app.selectors import drift_by_subject, live_revision, routing_history

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PAGE = 100
RUN = "routing_app.add_dispatchrecord"
RUN_TIMEOUT_S = 60.0


@login_required
@needs("registry_app.view_graphrecord")
@require_safe
def graph_list(request: HttpRequest) -> HttpResponse:
    drift = drift_by_subject()
    live = live_revision()
    entries = live.document["graphs"] if live else {}
    rows = [
        {"record": record, "drift": drift.get(record.pk, []), "live": entries.get(record.pk)}
        for record in GraphRecord.objects.all()
    ]
    context = {"rows": rows, "drift": [item for items in drift.values() for item in items]}
    return render(request, "registry/graphs.html", context)


@login_required
@needs("registry_app.view_graphrecord")
@require_http_methods(["GET", "HEAD", "POST"])
def graph_detail(request: HttpRequest, assistant_id: str) -> HttpResponse:
    """What a graph is, where it ran and how that went; POST runs it through the dispatcher and opens the action."""
    record = GraphRecord.objects.filter(pk=assistant_id).first()
    if record is None:
        raise Http404(f"There is no graph {assistant_id}.")
    form, error, status = RunForm(record.input_schema), "", 200
    if request.method == "POST":
        if not request.user.has_perm(RUN):
            raise PermissionDenied(f"Running a graph needs the permission {RUN}.")
        form, status = RunForm(record.input_schema, request.POST), 422
        if form.is_valid():
            try:
                result = run_graph_with_meta(record.pk, form.input(), timeout=RUN_TIMEOUT_S)
            except LangGraphError as failure:
                error, status = str(failure), 422 if failure.status == 422 else 502
            else:
                return HttpResponseRedirect(f"/traces/{result.langsmith_run_id}/", status=303)
    examples = record.input_schema.get("examples", [])
    call = {"assistant_id": record.pk, "input": examples[0] if examples else {}}
    context = {
        "record": record,
        "form": form,
        "error": error,
        "may_run": request.user.has_perm(RUN),
        "needs": RUN,
        "history": routing_history(record.pk),
        "evaluations": evaluations_of(record.pk),
        "drift": drift_by_subject().get(record.pk, []),
        "schema": json.dumps(record.input_schema, indent=2, ensure_ascii=False),
        "call": json.dumps(call, indent=2, ensure_ascii=False),
        "audit": AuditEntry.objects.filter(model="registry_app_graphrecord", object_id=record.pk)[:20],
    }
    return render(request, "registry/graph.html", context, status=status)


@login_required
@needs("registry_app.view_auditentry")
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    entries = AuditEntry.objects.order_by("-id")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 18:
        entries = entries.filter(pk__lt=int(before))
    page = list(entries[: PAGE + 1])
    older = f"?before={page[PAGE - 1].pk}" if len(page) > PAGE else ""
    return render(
        request,
        "registry/audit.html",
        {"entries": page[:PAGE], "older": older, "newest": "?" if before else ""},
    )
