"""company_discovery, consultancies_discovery, youtube_discovery and ashby_discovery."""

from __future__ import annotations

from importlib import import_module

import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from tests.graphs import web_wire

MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}
HITS = [
    (
        "Northwind Robotics",
        "https://www.northwind.example/",
        "Warehouse automation robots with an API, in France.",
    ),
    ("Top 10 warehouse robots", "https://lists.example/top", "A list of warehouse automation companies."),
    ("Northwind blog", "https://northwind.example/blog", "Robots in the warehouse."),
    ("Casa Verde", "https://casaverde.example/", "Family kitchen."),
]


async def hunt(name, **changes):
    payload = {**SHAPES[name]["examples"][0], **changes}
    return await import_module(MODULES[name]).build_graph().ainvoke(payload)


@pytest.fixture
def brave(loopback, monkeypatch):
    service = loopback(lambda asked: (200, {}, web_wire.brave(*HITS)))
    monkeypatch.setenv("BRAVE_API_URL", service.base_url)
    monkeypatch.setenv("BRAVE_API_KEY", "brave-secret")
    return service


@pytest.fixture
def ashby(loopback, monkeypatch):
    boards = {
        "northwind": web_wire.board(web_wire.job("Data Engineer"), web_wire.job("Cook", isListed=False))
    }

    def answer(asked):
        name = asked.path.rpartition("/")[2]
        return (200, {}, boards[name]) if name in boards else (404, {}, b"Not Found")

    service = loopback(answer)
    monkeypatch.setenv("ASHBY_API_URL", service.base_url)
    return service


async def test_companies_are_found_once_each_and_lists_are_left_out(brave):
    found = await hunt("company_discovery")
    assert [one["title"] for one in found["candidates"]] == ["Northwind Robotics"]
    assert "warehouse" in found["candidates"][0]["why"]
    assert found["looked_at"] == 3
    assert (found["partial"], found["missing"]) == (False, [])


async def test_two_decisions_of_the_model_take_two_paths(brave, model):
    plan, picks = {"queries": ["warehouse robots"]}, [{"hit": 1, "why": "fits"}]
    service = model(plan, {"picks": picks, "decision": "enough"})
    assert [one["why"] for one in (await hunt("company_discovery"))["candidates"]] == ["fits"]
    assert len(service.asked) == 2
    service = model(
        plan,
        {"picks": [], "decision": "widen"},
        {"queries": ["picking"]},
        {"picks": picks, "decision": "widen"},
    )
    found = await hunt("company_discovery")
    assert (found["queries"], len(service.asked)) == (["warehouse robots", "picking"], 4)


async def test_hit_the_model_makes_up_is_none(brave, model):
    model({"queries": ["x"]}, {"picks": [{"hit": 99, "why": "invented"}], "decision": "enough"})
    assert (await hunt("company_discovery"))["candidates"] == []


async def test_search_that_finds_nothing_ends_without_asking_to_screen(brave, model):
    brave.answer = lambda asked: (200, {}, {"type": "search", "query": {"original": "q"}})
    service = model({"queries": ["x"]})
    found = await hunt("consultancies_discovery")
    assert (found["candidates"], found["looked_at"], found["partial"], len(service.asked)) == (
        [],
        0,
        False,
        1,
    )


async def test_consultancies_are_looked_for_by_field_and_region(brave):
    await hunt("consultancies_discovery", field="robots", region="France")
    assert brave.asked[0].query["q"] == "robots consultancy France"


async def test_videos_come_with_channel_and_views(loopback, monkeypatch):
    service = loopback(
        lambda asked: (
            200,
            {},
            web_wire.YOUTUBE_SEARCH if asked.path == "/search" else web_wire.YOUTUBE_VIDEOS,
        )
    )
    monkeypatch.setenv("YOUTUBE_API_URL", service.base_url)
    monkeypatch.setenv("YOUTUBE_API_KEY", "yt-secret")
    found = await hunt("youtube_discovery")
    (video,) = found["candidates"]
    assert (video["title"], video["views"], video["channel"]) == (
        "Agents in our warehouse & what broke",
        1842,
        "Northwind Robotics",
    )
    assert service.asked[0].headers["x-goog-api-key"] == "yt-secret"
    assert "yt-secret" not in str(found)
    assert all("key" not in asked.query for asked in service.asked)


async def test_boards_are_tried_under_other_spellings(ashby):
    found = await hunt("ashby_discovery", companies=["northwind"], keywords=["data"])
    assert [(one["title"], one["jobs"]) for one in found["candidates"]] == [("northwind", 1)]
    found = await hunt("ashby_discovery", companies=["Nobody Here"])
    assert found["missing"][0] == "Ashby: has no board Nobody Here"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("company_discovery", "Brave Search: needs BRAVE_API_KEY, which is not set"),
        ("youtube_discovery", "YouTube: needs YOUTUBE_API_KEY, which is not set"),
        ("ashby_discovery", "Ashby: cannot be reached (All connection attempts failed)"),
    ],
)
async def test_without_key_or_network_the_result_says_what_is_missing(name, missing):
    found = await hunt(name)
    assert (found["partial"], found["candidates"], found["missing"]) == (True, [], [missing])
    assert found["queries"]
