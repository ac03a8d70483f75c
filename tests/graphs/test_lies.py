"""Sources that lie about the shape of a field: a value of another kind is no value, and nothing breaks."""

from __future__ import annotations

import copy

import pytest

from fleet.kit import ashby, brave, github, youtube
from fleet.kit.http import SourceError, connect
from tests.graphs import github_wire, web_wire

ODD = (7, "²", [None], {"x": 1})


def twisted(answer):
    """The answer again and again, each time with one of its values of another kind."""
    for path in paths(answer):
        for odd in ODD:
            changed = copy.deepcopy(answer)
            place = changed
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = odd
            yield path, odd, changed


def paths(value, before=()):
    if isinstance(value, dict):
        for key in value:
            yield (*before, key)
            yield from paths(value[key], (*before, key))
    elif isinstance(value, list) and value:
        yield (*before, 0)
        yield from paths(value[0], (*before, 0))


async def of_github(read, *arguments):
    async with connect(github.source()) as session:
        return await read(session, *arguments)


#: Reader → (the answer to twist, the first step of the path it is asked under, reading it).
READERS = {
    "brave": (web_wire.brave(("T", "https://n.example", "D")), "/res", lambda: brave.search("q")),
    "youtube search": (web_wire.YOUTUBE_SEARCH, "/search", lambda: youtube.search("q")),
    "youtube videos": (web_wire.YOUTUBE_VIDEOS, "/videos", lambda: youtube.search("q")),
    "ashby": (web_wire.board(web_wire.job("Engineer")), "/posting-api", lambda: ashby.jobs("n")),
    "organisation": (github_wire.ORG, "/", lambda: of_github(github.organisation, "northwind")),
    "repositories": (github_wire.REPOS[:1], "/", lambda: of_github(github.repositories, "northwind", 3)),
}


@pytest.mark.parametrize("name", READERS)
async def test_value_of_another_kind_breaks_nothing(loopback, monkeypatch, name):
    answer, where, read = READERS[name]
    told = {"/search": web_wire.YOUTUBE_SEARCH, "/videos": web_wire.YOUTUBE_VIDEOS}

    def answered(asked):
        twist = asked.path.startswith(where)
        return 200, {"cache-control": "no-store"}, now if twist else told[asked.path]

    service = loopback(answered)
    for source in ("BRAVE", "YOUTUBE", "ASHBY", "GITHUB"):
        monkeypatch.setenv(f"{source}_API_URL", service.base_url)
        monkeypatch.setenv(f"{source}_API_KEY", "k")
    for path, odd, now in twisted(answer):  # noqa: B007 - the service answers with it
        try:
            await read()
        except SourceError:
            continue  # said so
        except Exception as failure:
            raise AssertionError(f"{path} as {odd!r}") from failure
