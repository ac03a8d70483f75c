"""Read a public web page as text. The address comes from data, so only public hosts are reached, and robots are heeded."""

from __future__ import annotations

from html.parser import HTMLParser

from fleet.kit.http import Source, SourceError, connect

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head"})
_BLOCKS = frozenset(
    {"p", "div", "li", "br", "tr", "section", "article", "header", "footer", "h1", "h2", "h3", "h4"}
)
_SOURCE = Source(
    "website", "", guarded=True, robots=True, max_bytes=2 * 1024 * 1024, total_timeout_s=8.0, attempts=2
)


async def read_page(address: str) -> str:
    """The page's text, at most 20,000 characters. Raises SourceError."""
    url = address if "://" in address else f"https://{address}"
    async with connect(_SOURCE) as session:
        text = page_text(await session.get_text(url))
    if not text:
        raise SourceError("website", "shows no text without a browser")
    return text[:20_000]


def page_text(html: str) -> str:
    """The visible text of a page, a line for each block; scripts and styles are left out."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._skipping += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)
