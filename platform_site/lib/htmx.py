"""One URL, two sizes: a page answers with itself, or with one fragment of itself to htmx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import render
from django.utils.cache import patch_vary_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse


def wants_fragment(request: HttpRequest) -> bool:
    """True when htmx asks for a part; boosted links and history restores want the page."""
    header = request.headers.get
    if header("HX-Request") != "true":
        return False
    return header("HX-Boosted") != "true" and header("HX-History-Restore-Request") != "true"


def render_page(
    request: HttpRequest,
    page: str,
    context: Mapping[str, Any] | None = None,
    *,
    partial: str,
    status: int = 200,
) -> HttpResponse:
    """Render `page`, or its `partial` (`page#partial`) for htmx. Always varies on HX-Request."""
    template = f"{page}#{partial}" if wants_fragment(request) else page
    response = render(request, template, dict(context or {}), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
