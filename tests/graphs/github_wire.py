"""Answers in the shapes of GitHub's REST API (version 2022-11-28), cut to a small organisation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

RATE = {
    "content-type": "application/json; charset=utf-8",
    "x-github-media-type": "github.v3; format=json",
    "x-ratelimit-limit": "60",
    "x-ratelimit-remaining": "54",
    "x-ratelimit-reset": "1790000000",
    "x-ratelimit-resource": "core",
}
NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


def account(login: str, kind: str = "User", **more: Any) -> dict[str, Any]:
    return {
        "login": login,
        "id": 110818415,
        "node_id": "O_kgDOBpr4bw",
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "gravatar_id": "",
        "url": f"https://api.github.com/users/{login}",
        "html_url": f"https://github.com/{login}",
        "repos_url": f"https://api.github.com/users/{login}/repos",
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
        "name": None,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 3,
        "public_gists": 0,
        "followers": 120,
        "following": 0,
        "created_at": "2022-08-08T08:51:19Z",
        "updated_at": "2026-10-01T08:51:19Z",
        **more,
    }


def repository(owner: str, name: str, *, pushed_days_ago: int, **more: Any) -> dict[str, Any]:
    pushed = datetime.now(UTC) - timedelta(days=pushed_days_ago)
    return {
        "id": 534223841,
        "node_id": "R_kgDOH9eb4Q",
        "name": name,
        "full_name": f"{owner}/{name}",
        "private": False,
        "owner": account(owner, "Organization"),
        "html_url": f"https://github.com/{owner}/{name}",
        "description": None,
        "fork": False,
        "url": f"https://api.github.com/repos/{owner}/{name}",
        "homepage": "",
        "size": 5120,
        "stargazers_count": 10,
        "watchers_count": 10,
        "language": None,
        "forks_count": 3,
        "archived": False,
        "disabled": False,
        "open_issues_count": 4,
        "license": None,
        "topics": [],
        "visibility": "public",
        "default_branch": "main",
        "pushed_at": pushed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_at": "2022-09-08T13:01:00Z",
        "updated_at": "2026-11-01T13:01:00Z",
        **more,
    }


ORG = account(
    "northwind",
    "Organization",
    name="Northwind Robotics",
    description="Warehouse robots with an open API",
    blog="https://northwind.example",
    location="Lyon, France",
)
REPOS = [
    repository(
        "northwind",
        "picker",
        pushed_days_ago=3,
        language="Python",
        stargazers_count=420,
        description="Plans picks.",
    ),
    repository("northwind", "linux", pushed_days_ago=1, fork=True, language="C"),
    repository("northwind", "dock", pushed_days_ago=40, language="Rust"),
    repository("northwind", "old-site", pushed_days_ago=1500, archived=True),
]
CONTRIBUTORS = {
    "picker": [
        {**account("maya"), "contributions": 310},
        {**account("dependabot[bot]", "Bot"), "contributions": 200},
        {**account("tomas"), "contributions": 45},
    ],
    "dock": [{**account("tomas"), "contributions": 400}],
}
PEOPLE = {
    "maya": account(
        "maya", name="Maya Laurent", company="@northwind", location="Lyon", bio="Planning software"
    ),
    "tomas": account("tomas", name="Tomas Vik", blog="https://tomas.example"),
}


def answer(asked: Any) -> tuple[int, dict[str, str], Any]:
    """What api.github.com says to the paths lead research asks for."""
    match asked.path.strip("/").split("/"):
        case ["users", "northwind"] | ["orgs", "northwind"]:
            return 200, RATE, ORG
        case ["users", "northwind", "repos"]:
            return 200, RATE, REPOS
        case ["repos", "northwind", name, "contributors"] if name in CONTRIBUTORS:
            return 200, RATE, CONTRIBUTORS[name]
        case ["users", login] if login in PEOPLE:
            return 200, RATE, PEOPLE[login]
        case _:
            return 404, RATE, NOT_FOUND
