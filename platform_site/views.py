"""Pages that belong to no app: home, search, keyboard help, the pattern sheet, and the error pages."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from platform_site import home as home_reads
from platform_site import patterns
from platform_site.lib.access import needs
from platform_site.lib.etag import revalidated
from platform_site.lib.htmx import render_page, wants_fragment
from platform_site.standing import standing
from platform_site.templatetags.ui import when
from routing_app.fleet import fleet
from routing_app.selectors import current_drift

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

AN_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """Is anything wrong now, where, since when. What has drifted apart is a fragment of its own."""
    if wants_fragment(request) and request.headers.get("HX-Target") == "home-drift":
        return _drift(request)
    seen = fleet()
    lanes = {pool.slug: pool for pool in seen.pools}
    found = home_reads.home(lanes)
    well = [tile.slug for tile in found.tiles if tile not in found.failing]
    context: dict[str, Any] = {
        "home": found,
        "fleet": seen,
        "lanes": lanes,
        "standing": standing(found.now - home_reads.WINDOW),
        "healthy": ", ".join(well),
        "healthy_verb": "is" if len(well) == 1 else "are",
    }
    response = render_page(request, "home.html", context, partial="now")
    if not wants_fragment(request):
        return response
    clocks = (when(found.now), when(context["standing"].ledger.checked_at, "clock"))
    return revalidated(request, response, ignore=[str(one).encode() for one in clocks])


@needs("registry_app.view_graphrecord")
def _drift(request: HttpRequest) -> HttpResponse:
    return render(request, "routing/_drift.html", {"drift": current_drift()})


@login_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """The bar's one field: an id opens its action, anything else filters the list."""
    text = request.GET.get("q", "").strip()[:200]
    if AN_ID.fullmatch(text.lower()):
        return HttpResponseRedirect(f"/traces/{text.lower()}/")
    return HttpResponseRedirect("/traces/?" + urlencode({"q": text}) if text else "/traces/")


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """Keyboard help as a page, for readers without scripts."""
    return render(request, "keys.html")


@login_required
@require_safe
def pattern_sheet(request: HttpRequest) -> HttpResponse:
    """Every component in every state, for those who build pages."""
    if not request.user.is_staff:
        raise PermissionDenied("The pattern sheet is for staff accounts.")
    return render(request, "patterns.html", patterns.sheet())


def _failure(request: HttpRequest, status: HTTPStatus, title: str, text: str) -> HttpResponse:
    """An alert for htmx (it lands in #alerts), a page for everybody else."""
    template = "ui/_alert.html" if wants_fragment(request) else f"{status.value}.html"
    context = {"tone": "bad", "title": title, "text": text, "reason": text}
    return render(request, template, context, status=status)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    reason = str(exception or "") or "The permission is missing; ask someone who manages accounts."
    return _failure(request, HTTPStatus.FORBIDDEN, "Your account may not do this.", reason)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token does not fit: its page was opened before the last sign-in or sign-out, or is not ours."""
    text = "This form is from before you last signed in or out. Open its page anew and send it again."
    return _failure(request, HTTPStatus.FORBIDDEN, "Nothing was done.", text)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _failure(request, HTTPStatus.NOT_FOUND, "Not found.", "The id belongs to nothing that is stored.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _failure(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The page could not be made.",
        "The failure is in the log with its request id. Calls still run; the dispatcher does not need this page.",
    )
