"""GET /routing.json for a session, and where no dispatcher is in the process; with a key the dispatcher answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from ninja.errors import HttpError

from contract.routing_document import canonical_bytes
from registry_app.auth import Requires
from routing_app.dispatcher.export import etag, matches
from routing_app.models import RoutingRevision

if TYPE_CHECKING:
    from django.http import HttpRequest

_AUTH = Requires("read", "routing_app.view_pool")


@require_safe
def routing_json(request: HttpRequest) -> HttpResponse:
    """The canonical bytes, under the dispatcher's ETag."""
    try:
        allowed = _AUTH(request)
    except HttpError as error:
        return JsonResponse({"detail": str(error)}, status=error.status_code)
    if allowed is None:
        return JsonResponse({"detail": "Send an API key with the scope read."}, status=401)
    newest = RoutingRevision.objects.values_list("version", "digest").first()
    if newest is None:
        return JsonResponse({"detail": "Nothing has been published yet."}, status=404)
    tag = etag(*newest)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, X-Api-Key, Cookie"}
    if matches(request.headers.get("If-None-Match", ""), tag):
        return HttpResponse(status=304, headers=headers)
    document = RoutingRevision.objects.values_list("document", flat=True).get(version=newest[0])
    return HttpResponse(canonical_bytes(document), content_type="application/json", headers=headers)
