"""The Fleet page: pools, replicas, breakers and what holds them, and the drill with its reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from platform_site.lib.access import needs
from platform_site.lib.htmx import render_page
from registry_app.audit import Actor
from routing_app.fleet import fleet
from routing_app.models import BreakerHold, DrillReport
from routing_app.selectors import serving
from routing_app.services import breakers
from routing_app.services.drills import DrillUnderWay, ask_for_drill

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

view_required = needs("routing_app.view_pool")
drill_required = needs("routing_app.add_drillreport")
hold_required = needs("routing_app.add_breakerhold")


class HoldForm(forms.Form):
    """Over which breaker, how, for how long, and why."""

    state = forms.ChoiceField(label="Hold it", choices=BreakerHold.STATES)
    minutes = forms.TypedChoiceField(
        label="For",
        coerce=int,
        initial=60,
        choices=[(15, "15 minutes"), (60, "1 hour"), (480, "8 hours"), (1440, "24 hours")],
        help_text="Then the breaker judges for itself again.",
    )
    reason = forms.CharField(max_length=500, help_text="Shown on Fleet and in the audit log.")


@login_required
@view_required
@require_safe
def fleet_view(request: HttpRequest) -> HttpResponse:
    return render_page(request, "fleet/fleet.html", {"fleet": fleet(), "serving": serving()}, partial="now")


@login_required
@hold_required
@require_http_methods(["GET", "HEAD", "POST"])
def breaker_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Hold the breaker of one replica (`?url=`) open or closed for a while; 422 with the form when a field is wrong."""
    url = request.GET.get("url", "")
    pool = next((pool for pool in fleet().pools if pool.slug == slug), None)
    replica = next((one for one in pool.replicas if one.url == url), None) if pool else None
    if replica is None:
        raise Http404(f"{slug[:31]} has no live replica at this address.")
    form = HoldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            hold = breakers.hold_breaker(
                actor=Actor.of_request(request), pool=slug, url=url, **form.cleaned_data
            )
        except ValidationError as invalid:
            form.add_error(None, invalid.messages)
        else:
            messages.success(
                request, f"The breaker of {slug} at {url} is held {hold.state}; dispatchers follow at once."
            )
            return HttpResponseRedirect(reverse("fleet:fleet"), status=303)
    context = {"pool": pool, "replica": replica, "form": form}
    return render(request, "fleet/breaker.html", context, status=422 if form.errors else 200)


@login_required
@hold_required
@require_POST
def release_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a hold off."""
    url = request.POST.get("url", "")
    if breakers.release_breaker(actor=Actor.of_request(request), pool=slug[:31], url=url[:2_000]):
        messages.success(request, f"The breaker of {slug} at {url} judges for itself again.")
    else:
        messages.warning(request, "Nothing held that breaker any more.")
    return HttpResponseRedirect(reverse("fleet:fleet"), status=303)


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
