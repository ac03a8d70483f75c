"""The few GitHub REST calls that lead research needs, in our own terms."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fleet.kit.http import Source, SourceError
from fleet.kit.text import clean, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.kit.http import Session

_LOGIN = re.compile(r"@?(?:https?://(?:www\.)?github\.com/)?([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))(?:/.*)?")


def source(env: Mapping[str, str] = os.environ) -> Source:
    """`GITHUB_API_URL` (default the public API; GitHub Enterprise works too) and the optional `GITHUB_TOKEN`."""
    headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
    if token := env.get("GITHUB_TOKEN", "").strip():
        headers["authorization"] = f"Bearer {token}"
    base_url = env.get("GITHUB_API_URL", "").strip().rstrip("/") or "https://api.github.com"
    return Source("GitHub", base_url, headers, connect_timeout_s=2.0, total_timeout_s=5.0, attempts=2)


def login_of(value: Any) -> str:
    """The account name in `pydantic`, `@pydantic` or `https://github.com/pydantic/…`; "" when there is none."""
    found = _LOGIN.fullmatch(clean(value, 300))
    return found[1] if found else ""


async def organisation(github: Session, login: str) -> dict[str, Any]:
    """Profile of an organisation or, where there is none of that name, of a user."""
    data = _object(await github.get_json(f"/users/{quote(login, safe='')}"))
    if data.get("type") == "Organization":
        data = _object(await github.get_json(f"/orgs/{quote(login, safe='')}"))
    return {
        "login": clean(data.get("login"), 80) or login,
        "name": clean(data.get("name"), 120) or clean(data.get("login"), 80) or login,
        "kind": clean(data.get("type"), 40) or "Organization",
        "description": clean(data.get("description") or data.get("bio")),
        "website": clean(data.get("blog"), 200),
        "location": clean(data.get("location"), 120),
        "email": clean(data.get("email"), 200),
        "public_repos": _number(data.get("public_repos")),
        "followers": _number(data.get("followers")),
    }


async def repositories(github: Session, login: str, limit: int) -> list[dict[str, Any]]:
    """Its own repositories, the one pushed to last first; forks and archives left out."""
    path = f"/users/{quote(login, safe='')}/repos"
    data = _array(
        await github.get_json(
            path, sort="pushed", direction="desc", per_page=min(100, limit * 3), type="owner"
        )
    )
    own = [repo for repo in data if not repo.get("fork") and not repo.get("archived")]
    return [
        {
            "name": clean(repo.get("name"), 120),
            "full_name": clean(repo.get("full_name"), 200),
            "description": clean(repo.get("description"), 300),
            "language": clean(repo.get("language"), 40),
            "stars": _number(repo.get("stargazers_count")),
            "topics": [clean(topic, 40) for topic in listing(repo.get("topics"))][:10],
            "days_since_push": _days_since(repo.get("pushed_at")),
        }
        for repo in own[:limit]
    ]


async def contributors(github: Session, full_name: str, limit: int) -> list[dict[str, Any]]:
    """People (no bots) and their number of commits in one repository; empty for an empty repository."""
    path = f"/repos/{quote(full_name, safe='/')}/contributors"
    data = await github.get_json(path, per_page=min(100, limit * 2))
    people = [
        one for one in _array(data or []) if one.get("type") == "User"
    ]  # 204 for a repository without commits
    return [
        {"login": clean(one.get("login"), 80), "commits": _number(one.get("contributions"))}
        for one in people[:limit]
    ]


async def person(github: Session, login: str) -> dict[str, Any]:
    """What a person shows on their public profile."""
    data = _object(await github.get_json(f"/users/{quote(login, safe='')}"))
    return {
        "name": clean(data.get("name"), 120),
        "company": clean(data.get("company"), 120),
        "location": clean(data.get("location"), 120),
        "email": clean(data.get("email"), 200),
        "website": clean(data.get("blog"), 200),
        "bio": clean(data.get("bio"), 300),
        "url": clean(data.get("html_url"), 200),
    }


async def members(github: Session, login: str, limit: int) -> list[str]:
    """Logins of the public members of an organisation."""
    data = await github.get_json(f"/orgs/{quote(login, safe='')}/public_members", per_page=min(100, limit))
    return [name for one in _array(data) if (name := clean(one.get("login"), 80))][:limit]


async def top_level(github: Session, full_name: str) -> list[str]:
    """Names of the files and folders at the top of a repository; empty for an empty repository."""
    try:
        data = await github.get_json(f"/repos/{quote(full_name, safe='/')}/contents/")
    except SourceError as failure:
        if failure.status == 404:  # what GitHub answers for a repository without commits
            return []
        raise
    return [clean(one.get("name"), 200) for one in _array(data)]


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SourceError("GitHub", "answered in an unknown shape")
    return data


def _array(data: Any) -> list[dict[str, Any]]:
    if not isinstance(data, list):
        raise SourceError("GitHub", "answered in an unknown shape")
    return [item for item in data if isinstance(item, dict)]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _days_since(stamp: Any) -> int | None:
    try:
        then = datetime.fromisoformat(str(stamp))
        return max(0, (datetime.now(UTC) - then).days)
    except (ValueError, TypeError):
        return None
