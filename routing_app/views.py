"""Routing pages: the draft as a matrix, what publishing it would do, the revisions, and the explainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from platform_site.lib.access import needs
from platform_site.lib.htmx import render_page
from registry_app.audit import Actor
from routing_app import pages, selectors
from routing_app.api import content_of
from routing_app.models import Pool, RoutingRevision
from routing_app.probes import probe_pools
from routing_app.services import draft, publish
from routing_app.services.document import diff, moves
from routing_app.services.explain import explain

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

HOME = "routing:draft"
view_required = needs("routing_app.view_pool")
edit_required = needs("routing_app.change_pool")
publish_required = needs("routing_app.publish_routing")


@login_required
@view_required
@require_safe
def draft_view(request: HttpRequest) -> HttpResponse:
    return _draft(request)


@login_required
@edit_required
@require_POST
def save_matrix(request: HttpRequest) -> HttpResponse:
    """Put into the allowlists what was ticked (`<graph>@<pool>`) and take out what was unticked since the table was shown.

    `was` are the ticks that it was shown with, so that what somebody else saved meanwhile stays.
    """
    ticked, shown = set(request.POST.getlist("place")), set(request.POST.getlist("graph"))
    placements = {pool.slug: set(pool.assistants) for pool in draft.pool_facts()}
    for name, _, slug in (place.partition("@") for place in ticked):
        if slug not in placements or name not in shown:
            return _draft(request, status=422, error=f"place: {name[:100]}@{slug[:40]} is not in the table.")
    was = set(request.POST.getlist("was")) or {
        f"{name}@{slug}" for slug, names in placements.items() for name in names & shown
    }
    for name, _, slug in (place.partition("@") for place in was - ticked):
        placements.get(slug, set()).discard(name)
    for name, _, slug in (place.partition("@") for place in ticked - was):
        placements[slug].add(name)
    try:
        draft.set_matrix(placements=placements, actor=Actor.of_request(request))
    except ValidationError as error:
        return _draft(request, status=422, error=_text(error))
    messages.success(request, "The draft is saved. Live traffic is unchanged until you publish.")
    return _home()


@login_required
@publish_required
def publish_view(request: HttpRequest) -> HttpResponse:
    """GET shows what would go live; POST publishes it with a reason."""
    if request.method != "POST":
        return render(request, "routing/publish.html", {"page": pages.draft_page()})
    reason = request.POST.get("reason", "")
    try:
        revision = publish.publish_routing(
            actor=Actor.of_request(request), reason=reason, base_version=_integer(request, "base_version")
        )
    except publish.StaleBase as error:
        return _unpublished(request, 409, str(error), reason)
    except (publish.ChecksFailed, ValidationError) as error:
        return _unpublished(request, 422, _text(error), reason)
    messages.success(request, f"Published v{revision.version}.")
    return _home()


@login_required
@publish_required
def rollback_view(request: HttpRequest, version: int) -> HttpResponse:
    """GET shows the difference to what is live; POST publishes the old content as a new number."""
    old, live = _revision(version), selectors.live_revision()
    error = ""
    if request.method == "POST":
        try:
            new = publish.rollback(
                actor=Actor.of_request(request), reason=request.POST.get("reason", ""), version=version
            )
        except ValidationError as invalid:
            error = _text(invalid)
        else:
            messages.success(request, f"Rolled back: v{new.version} repeats v{version}.")
            return _home()
    context = {
        "revision": old,
        "live": live,
        "changes": diff(live.document if live else None, old.document),
        "moves": moves(live.document if live else None, old.document),
        "error": error,
    }
    return render(request, "routing/rollback.html", context, status=422 if error else 200)


@login_required
@edit_required
@require_POST
def resolve_view(request: HttpRequest) -> HttpResponse:
    try:
        publish.resolve_draft(
            actor=Actor.of_request(request),
            decision=request.POST.get("decision", ""),
            live_version=_integer(request, "live_version"),
        )
    except (publish.StaleBase, ValidationError) as error:
        return _draft(request, status=409, error=_text(error))
    messages.success(request, "Settled. The draft now stands on the live revision.")
    return _home()


@login_required
@edit_required
@require_POST
def probe_view(request: HttpRequest) -> HttpResponse:
    answers = probe_pools()
    silent = [f"{answer.pool}: {answer.error}" for answer in answers if answer.error]
    if silent:
        messages.warning(request, "Asked every pool. " + "; ".join(silent))
    else:
        messages.success(request, f"Asked {len(answers)} replicas; all answered.")
    return _home()


@login_required
@view_required
@require_safe
def revision_view(request: HttpRequest, version: int) -> HttpResponse:
    revision = _revision(version)
    before = RoutingRevision.objects.filter(version__lt=version).first()
    context = {
        "revision": revision,
        "before": before,
        "changes": diff(before.document if before else None, revision.document),
        "live": selectors.live_revision(),
    }
    return render(request, "routing/revision.html", context)


@login_required
@view_required
@require_safe
def explain_view(request: HttpRequest) -> HttpResponse:
    """The decision for an id and a path, step by step, on any revision or the draft."""
    name = request.GET.get("assistant_id", "").strip()[:200]
    path = request.GET.get("path", "").strip()[:2_000] or "/runs/wait"
    version = request.GET.get("version", "draft").strip().removeprefix("v")
    known = version in ("live", "draft") or (version.isascii() and version.isdigit() and len(version) < 10)
    label, content = content_of(version) if known else (version, None)
    context = {
        "assistant_id": name,
        "path": path,
        "version": version[:20],
        "label": label,
        "found": explain(content, assistant_id=name, path=path) if content is not None else None,
        "asked": bool(request.GET),
    }
    return render_page(request, "routing/explain.html", context, partial="answer")


def _draft(request: HttpRequest, *, status: int = 200, error: str = "") -> HttpResponse:
    context: dict[str, Any] = {"page": pages.draft_page(), "error": error, "pools": Pool.objects.all()}
    return render(request, "routing/draft.html", context, status=status)


def _unpublished(request: HttpRequest, status: int, error: str, reason: str) -> HttpResponse:
    context = {"page": pages.draft_page(), "error": error, "reason": reason}
    return render(request, "routing/publish.html", context, status=status)


def _revision(version: int) -> RoutingRevision:
    found = RoutingRevision.objects.filter(version=version).first() if version < 2**31 else None
    if found is None:
        raise Http404(f"There is no revision {version}.")
    return found


def _integer(request: HttpRequest, name: str) -> int:
    value = request.POST.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValidationError({name: "A whole number is needed."})
    return int(value)


def _text(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())


def _home() -> HttpResponse:
    return HttpResponseRedirect(reverse(HOME), status=303)
