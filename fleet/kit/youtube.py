"""The two calls of the YouTube Data API that discovery needs, in our own terms."""

from __future__ import annotations

import os
from html import unescape
from typing import TYPE_CHECKING, Any

from fleet.kit.http import Source, SourceError, connect
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from collections.abc import Mapping


def source(env: Mapping[str, str] = os.environ) -> Source:
    """`YOUTUBE_API_KEY`, and `YOUTUBE_API_URL` (default the public API). Raises SourceError without a key."""
    key = env.get("YOUTUBE_API_KEY", "").strip()
    if not key:
        raise SourceError("YouTube", "needs YOUTUBE_API_KEY, which is not set")
    base_url = env.get("YOUTUBE_API_URL", "").strip().rstrip("/") or "https://www.googleapis.com/youtube/v3"
    return Source("YouTube", base_url, {"x-goog-api-key": key}, total_timeout_s=8.0, attempts=2)


async def search(query: str, count: int = 10) -> list[dict[str, Any]]:
    """Videos on `query` as `title`, `url`, `text`, `channel`, `views`. Raises SourceError."""
    async with connect(source()) as youtube:
        found = _items(
            await youtube.get_json(
                "/search", part="snippet", type="video", q=clean(query, 200), maxResults=min(50, count)
            )
        )
        ids = [video for one in found if (video := clean(section(one.get("id")).get("videoId"), 20))]
        if not ids:
            return []
        videos = _items(await youtube.get_json("/videos", part="snippet,statistics", id=",".join(ids)))
    return [_video(one) for one in videos]


def _items(answer: Any) -> list[dict[str, Any]]:
    items = section(answer).get("items")
    if not isinstance(items, list):
        raise SourceError("YouTube", "answered in an unknown shape")
    return [one for one in items if isinstance(one, dict)]


def _video(one: dict[str, Any]) -> dict[str, Any]:
    """Counts come as texts, and are left out when the owner hides them."""
    snippet, statistics = section(one.get("snippet")), section(one.get("statistics"))
    views = clean(statistics.get("viewCount"), 20)
    return {
        "title": unescape(clean(snippet.get("title"), 200)),
        "url": f"https://www.youtube.com/watch?v={clean(one.get('id'), 20)}",
        "text": clean(snippet.get("description"), 2_000),
        "channel": clean(snippet.get("channelTitle"), 120),
        "published": clean(snippet.get("publishedAt"), 40),
        "views": int(views) if views.isdecimal() else None,
    }
