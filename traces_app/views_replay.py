"""Replay: send the input of a stored pool run through the dispatcher once more, after a look at what changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from fleet.sdk import LangGraphError, run_graph_with_meta
from routing_app.selectors import live_revision
from traces_app import steps
from traces_app.views import may_read

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

REPLAY = "routing_app.add_dispatchrecord"
TIMEOUT_S = 60.0
MAX_INPUT = 1_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of the route, then and now."""

    name: str
    then: str
    now: str

    @property
    def same(self) -> bool:
        return self.then == self.now


@login_required
@may_read
@require_http_methods(["GET", "HEAD", "POST"])
def replay(request: HttpRequest, any_id: str, run_id: UUID) -> HttpResponse:
    """GET shows the input and what would be decided now; POST sends it and opens the new action."""
    step = steps.run_step(str(run_id))
    if step is None or step.detail is None or step.node.kind != "pool":
        raise Http404(f"No pool run {run_id} is stored.")
    context = {
        "any_id": any_id,
        "node": step.node,
        "text": json.dumps(step.detail.payload.inputs, indent=2, ensure_ascii=False, default=str),
        "changes": _changes(step),
        "may_replay": request.user.has_perm(REPLAY),
        "needs": REPLAY,
        "back": f"/traces/{any_id}/runs/{run_id}",
    }
    if request.method != "POST":
        return render(request, "traces/replay.html", context)
    if not request.user.has_perm(REPLAY):
        raise PermissionDenied(f"Replaying needs the permission {REPLAY}.")
    return _send(request, step, context)


def _send(request: HttpRequest, step: steps.Step, context: dict[str, Any]) -> HttpResponse:
    context["text"] = given = request.POST.get("input", "")[: MAX_INPUT + 1]
    try:
        if len(given) > MAX_INPUT:
            raise ValueError(f"at most {MAX_INPUT:,} characters")
        value = json.loads(given)
    except ValueError as failure:
        return render(request, "traces/replay.html", context | {"error": f"input: {failure}"}, status=422)
    try:
        result = run_graph_with_meta(step.node.assistant_id, value, timeout=TIMEOUT_S)
    except LangGraphError as failure:
        return render(request, "traces/replay.html", context | {"error": str(failure)}, status=502)
    return HttpResponseRedirect(f"/traces/{result.langsmith_run_id}/", status=303)


def _changes(step: steps.Step) -> tuple[Change, ...]:
    """The route of the stored run beside what the live routing decides for the same graph."""
    live = live_revision()
    entry = live.document["graphs"].get(step.node.assistant_id, {}) if live else {}
    then = step.detail.run if step.detail else None
    return (
        Change("Routing version", _text(step.node.routing_version), _text(live.version if live else None)),
        Change("Pool", step.node.pool, _text(entry.get("pool"))),
        Change(
            "Graph digest", _text(then.graph_digest if then else "")[:8], _text(entry.get("graph_digest"))[:8]
        ),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
