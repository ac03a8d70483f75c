"""Read a public web page as text. The address comes from data, so only public hosts are reached, and robots are heeded."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

from fleet.kit.http import Source, SourceError, connect
from fleet.kit.text import clean

if TYPE_CHECKING:
    from html_to_markdown import ConversionOptions

#: Characters of HTML that are read; the worst there can be in so many takes a second and 160 MiB, off the loop.
MOST_HTML = 512 * 1024
MOST_TEXT = 20_000
_SOURCE = Source(
    "website", "", guarded=True, robots=True, max_bytes=2 * 1024 * 1024, total_timeout_s=8.0, attempts=2
)


async def read_page(address: str) -> str:
    """The page's text, at most 20,000 characters. Raises SourceError."""
    url = address if "://" in address else f"https://{address}"
    async with connect(_SOURCE) as session:
        reply = await session.call("GET", url)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not kind.startswith("text/") and not kind.endswith("xhtml+xml"):
        raise SourceError("website", f"gives {clean(kind, 60)}, which is no page")
    text = await asyncio.to_thread(page_text, reply.text())  # the extractor leaves the loop to others
    if not text:
        raise SourceError("website", "shows no text without a browser")
    return text[:MOST_TEXT]


def page_text(html: str) -> str:
    """What a reader sees of a page, a line for each block: no code, no navigation, no form and nothing hidden."""
    from html_to_markdown import convert
    from html_to_markdown.exceptions import ConversionError

    try:
        content = convert(html[:MOST_HTML], _plain()).content or ""
    except ConversionError:  # no HTML: a PDF, an image
        return ""
    lines = (" ".join(line.split()) for line in content.splitlines())
    return "\n".join(line for line in lines if line)


@lru_cache(maxsize=1)
def _plain() -> ConversionOptions:
    from html_to_markdown import ConversionOptions

    return ConversionOptions(output_format="plain", extract_metadata=False)
