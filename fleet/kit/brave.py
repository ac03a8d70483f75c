"""Web search through the Brave Search API, in our own terms."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fleet.kit.http import Source, SourceError, connect
from fleet.kit.text import clean, listing, section
from fleet.kit.website import page_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def source(env: Mapping[str, str] = os.environ) -> Source:
    """`BRAVE_API_KEY`, and `BRAVE_API_URL` (default the public API). Raises SourceError without a key."""
    key = env.get("BRAVE_API_KEY", "").strip()
    if not key:
        raise SourceError("Brave Search", "needs BRAVE_API_KEY, which is not set")
    base_url = env.get("BRAVE_API_URL", "").strip().rstrip("/") or "https://api.search.brave.com"
    headers = {"accept": "application/json", "x-subscription-token": key}
    return Source("Brave Search", base_url, headers, concurrency=1, total_timeout_s=8.0, attempts=2)


async def search(query: str, count: int = 10) -> list[dict[str, Any]]:
    """Results of the web as `title`, `url`, `text`. Raises SourceError."""
    async with connect(source()) as brave:
        answer = await brave.get_json("/res/v1/web/search", q=clean(query, 400), count=min(20, count))
    results = section(section(answer).get("web")).get("results")
    if not isinstance(results, list):
        if section(answer).get("type") == "search":
            return []  # a search without web results leaves the section out
        raise SourceError("Brave Search", "answered in an unknown shape")
    return [_result(one) for one in results if isinstance(one, dict) and clean(one.get("url"))][:count]


def _result(one: dict[str, Any]) -> dict[str, Any]:
    """Descriptions come as HTML with the query's words in `<strong>`."""
    snippets = [one.get("description"), *listing(one.get("extra_snippets"))]
    return {
        "title": clean(page_text(clean(one.get("title"), 300)), 300),
        "url": clean(one.get("url"), 2_000),
        "text": " ".join(clean(page_text(clean(snippet, 1_000)), 1_000) for snippet in snippets),
    }
