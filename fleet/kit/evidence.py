"""Texts to judge from, and the rule that a model's quote counts only when it stands in one of them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from fleet.kit.http import SourceError
from fleet.kit.text import clean, clean_list

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


class Evidence(TypedDict):
    """One text and where it comes from."""

    #: `e1`, `e2`, … within one run.
    id: str
    source: str
    url: str
    text: str


def plain(text: str) -> str:
    """Lower case, single spaces: how a quote is compared with the text it comes from."""
    return re.sub(r"\s+", " ", text).strip().lower()


def stands_in(quote: str, text: str) -> bool:
    """True when the words of `quote` stand in `text` in this order, without regard to case and line breaks."""
    return bool(plain(quote)) and plain(quote) in plain(text)


def found_in(quote: str, evidence: Sequence[Evidence]) -> Evidence | None:
    """The first text the quote stands in."""
    return next((one for one in evidence if stands_in(quote, one["text"])), None)


def given(company: dict[str, Any], texts: list[str]) -> list[Evidence]:
    """What the caller knows, as evidence like any other."""
    about = [clean(company.get("description"), 20_000), *clean_list(company.get("facts") or [], limit=50)]
    lines = "\n".join(line for line in about if line)
    parts = [lines, *(str(text)[:20_000] for text in texts)]
    return [Evidence(id="", source="given", url="", text=text) for text in parts if text.strip()]


async def collect(*readers: Awaitable[list[Evidence]]) -> tuple[list[Evidence], list[str]]:
    """Read all at once: the texts that came, and a sentence for each source that did not."""
    results = await asyncio.gather(*readers, return_exceptions=True)
    evidence: list[Evidence] = []
    missing: list[str] = []
    for result in results:
        if isinstance(result, SourceError):
            missing.append(str(result))
        elif isinstance(result, BaseException):
            raise result
        else:
            evidence += result
    return evidence, missing


def numbered(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Each text once, with its id."""
    unique = {one["text"]: one for one in reversed(evidence)}
    return [Evidence(**{**one, "id": f"e{n}"}) for n, one in enumerate(reversed(unique.values()), 1)]


async def from_website(address: str, paths: Sequence[str] = ()) -> list[Evidence]:
    """The home page and those of `paths` that are there. Raises SourceError when the home page cannot be read."""
    from fleet.kit.website import read_page

    root = (address if "://" in address else f"https://{address}").rstrip("/")

    async def page(url: str, *, optional: bool) -> list[Evidence]:
        try:
            return [Evidence(id="", source="website", url=url, text=await read_page(url))]
        except SourceError:
            if optional:
                return []
            raise

    home, *others = await asyncio.gather(
        page(root, optional=False),
        *(page(root + path, optional=True) for path in paths),
        return_exceptions=True,
    )
    if isinstance(home, BaseException):
        raise home
    return [one for found in (home, *others) if isinstance(found, list) for one in found]


async def from_search(query: str, count: int = 6) -> list[Evidence]:
    """What the web says about `query`. Raises SourceError."""
    from fleet.kit import brave

    return [
        Evidence(id="", source="Brave Search", url=one["url"], text=f"{one['title']}. {one['text']}")
        for one in await brave.search(query, count)
    ]
