"""Ashby's public job boards: one request gives a company's whole board, without a key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fleet.kit.http import Source, SourceError, connect
from fleet.kit.text import clean, listing, section

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOARD = re.compile(r"(?:https?://)?jobs\.ashbyhq\.com/([^/?#\s]+).*", re.IGNORECASE)
_NAME = re.compile(r"[\w .&+-]{1,100}")


def source(env: Mapping[str, str] = os.environ) -> Source:
    """`ASHBY_API_URL` (default the public API)."""
    base_url = env.get("ASHBY_API_URL", "").strip().rstrip("/") or "https://api.ashbyhq.com"
    return Source("Ashby", base_url, total_timeout_s=8.0, attempts=2, max_bytes=32 * 1024 * 1024)


def board_of(value: Any) -> str:
    """The board's name in `Ramp` or `https://jobs.ashbyhq.com/Ramp/…`; "" when there is none."""
    text = clean(value, 300)
    found = _BOARD.fullmatch(text)
    name = unquote(found[1]) if found else text
    return name if _NAME.fullmatch(name) and name.strip(". ") else ""


async def jobs(board: str) -> list[dict[str, Any]]:
    """The listed jobs of a board, newest first. Raises SourceError (status 404: there is no such board)."""
    async with connect(source()) as ashby:
        path = f"/posting-api/job-board/{quote(board, safe='')}"
        answer = await ashby.get_json(path, includeCompensation="true")
    found = section(answer).get("jobs")
    if not isinstance(found, list):
        raise SourceError("Ashby", "answered in an unknown shape")
    listed = [_job(one) for one in found if isinstance(one, dict) and one.get("isListed", True)]
    return sorted(listed, key=lambda job: job["published"], reverse=True)


def _job(one: dict[str, Any]) -> dict[str, Any]:
    address = section(section(one.get("address")).get("postalAddress"))
    secondary = [
        clean(section(place).get("location"), 120) for place in listing(one.get("secondaryLocations"))
    ]
    pay = section(one.get("compensation"))
    return {
        "title": clean(one.get("title"), 200),
        "department": clean(one.get("department"), 120),
        "team": clean(one.get("team"), 120),
        "type": clean(one.get("employmentType"), 40),
        "location": clean(one.get("location"), 120),
        "other_locations": [place for place in secondary if place],
        "country": clean(address.get("addressCountry"), 80),
        "remote": one.get("isRemote") is True,
        "published": clean(one.get("publishedAt"), 40),
        "url": clean(one.get("jobUrl"), 300),
        # Shown on the board only when the company wants it shown.
        "pay": clean(pay.get("compensationTierSummary"), 200)
        if one.get("shouldDisplayCompensationOnJobPostings", True)
        else "",
        "text": clean(one.get("descriptionPlain"), 4_000),
    }
