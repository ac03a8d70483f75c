"""The Fleet page: pools, replicas, breakers, and the drill with its reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from platform_site.lib.htmx import render_page
from registry_app.audit import Actor
from routing_app.fleet import fleet
from routing_app.models import DrillReport
from routing_app.services.drills import DrillUnderWay, ask_for_drill

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

view_required = permission_required("routing_app.view_pool", raise_exception=True)
drill_required = permission_required("routing_app.add_drillreport", raise_exception=True)


@login_required
@view_required
@require_safe
def fleet_view(request: HttpRequest) -> HttpResponse:
    return render_page(request, "fleet/fleet.html", {"fleet": fleet()}, partial="now")


@login_required
@drill_required
@require_POST
def drill_view(request: HttpRequest) -> HttpResponse:
    """Ask for a drill; the job process runs it."""
    try:
        ask_for_drill(actor=Actor.of_request(request))
    except DrillUnderWay as error:
        messages.warning(request, str(error))
    else:
        messages.success(
            request, "The drill is asked for. It takes about two minutes; live traffic is not touched."
        )
    return HttpResponseRedirect(reverse("fleet:fleet"), status=303)


@login_required
@view_required
@require_safe
def report_view(request: HttpRequest, report_id: int) -> HttpResponse:
    report = DrillReport.objects.filter(pk=report_id).first() if report_id < 2**63 else None
    if report is None:
        raise Http404(f"There is no drill {report_id}.")
    return render(request, "fleet/drill.html", {"drill": report})
