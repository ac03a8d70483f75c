"""The failure catalogue: what stands open, how to fix it, and a canary that proves the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from platform_site.lib.access import refusal
from platform_site.lib.htmx import wants_fragment
from registry_app.models import GraphRecord
from routing_app.fleet import fleet
from traces_app import canary, services
from traces_app.models import StoredFinding
from traces_app.pages.catalogue import BY_CODE, CATALOGUE, Entry
from traces_app.views import may_read

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

FINDINGS_SHOWN = 100
OPERATE = "traces_app.change_storedfinding"
NEEDS = refusal(OPERATE)
PROBE = "probe_"


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of finding with what is open of it."""

    entry: Entry
    times: int


@login_required
@may_read
@require_safe
def diagnostics(request: HttpRequest) -> HttpResponse:
    """The failure catalogue with what stands open of it, and which pools take no calls."""
    standing = StoredFinding.objects.filter(resolved_at=None).order_by("-last_seen", "-id")
    counted = {row["code"]: row for row in standing.order_by().values("code").annotate(n=Sum("count"))}
    context = {
        "standing": standing[:FINDINGS_SHOWN],
        "open_count": standing.count(),
        "troubled": fleet().failing,
        "rows": [Known(entry, counted.get(entry.code, {}).get("n", 0)) for entry in CATALOGUE],
        **_canary_context(request),
    }
    return render(request, "diagnostics/list.html", context)


@login_required
@may_read
@require_safe
def how_to(request: HttpRequest, code: str) -> HttpResponse:
    """What a finding means, how to fix it, how to see that it is fixed."""
    if code not in BY_CODE:
        raise Http404("The catalogue has no such finding.")
    context = {"entry": BY_CODE[code], "code": code, **_canary_context(request)}
    return render(request, "diagnostics/howto.html", context)


@login_required
@may_read
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a finding as dealt with; a new sighting opens it again."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied(NEEDS)
    try:
        changed = services.resolve_finding(finding_id=pk, actor=request.user.get_username())
    except StoredFinding.DoesNotExist:
        raise Http404(f"There is no finding {pk}.") from None
    text = (
        "Resolved. It opens again by itself if it is seen once more."
        if changed
        else "It was resolved before."
    )
    messages.success(request, text)
    return HttpResponseRedirect("/diagnostics/", status=303)


@login_required
@may_read
@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Send one marked call through the path and judge the tree it leaves; answers within seconds."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied(NEEDS)
    context = _canary_context(request)
    chosen = request.POST.get("assistant_id", "")
    code = request.POST.get("code", "")
    if chosen not in context["probes"] or (code and code not in BY_CODE):
        context["canary_error"] = "Choose one of the probes offered."
        return render(request, _verdict_template(request), context, status=422)
    context |= {"verdict": canary.verify(chosen, code=code), "chosen": chosen, "code": code}
    return render(request, _verdict_template(request), context)


def _verdict_template(request: HttpRequest) -> str:
    return "diagnostics/_canary.html" if wants_fragment(request) else "diagnostics/verify.html"


def _canary_context(request: HttpRequest) -> dict[str, Any]:
    probes = GraphRecord.objects.filter(pk__startswith=PROBE, enabled=True).order_by("pk")
    return {
        "probes": tuple(probes.values_list("pk", flat=True)),
        "may_operate": request.user.has_perm(OPERATE),
        "needs": OPERATE,
    }
