"""Polls cost nothing when nothing changed: an answer is compared with what the browser has."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from django.http import HttpResponseNotModified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

#: What differs in each rendering and says nothing: the form's token.
_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"')


def revalidated(
    request: HttpRequest, response: HttpResponse, *, ignore: Iterable[bytes] = ()
) -> HttpResponseBase:
    """The answer with a weak ETag, or 304 when the browser has the same. `ignore` is what
    differs each time and says nothing, such as the hour of the refresh."""
    if response.status_code != 200:
        return response
    content = _TOKEN.sub(b"", response.content)
    for changing in ignore:
        content = content.replace(changing, b"")
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:24]}"'
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"
    if request.headers.get("if-none-match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag, "Vary": response.headers.get("Vary", "")})
    return response
