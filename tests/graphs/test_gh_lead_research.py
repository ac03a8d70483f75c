from __future__ import annotations

import time

import pytest

from contract.errors import LangGraphError
from fleet.graphs.discovery.gh_lead_research import build_graph
from tests.graphs import github_wire


@pytest.fixture
def github(loopback, monkeypatch):
    service = loopback(github_wire.answer)
    monkeypatch.setenv("GITHUB_API_URL", service.base_url)
    return service


async def research(**payload):
    return await build_graph().ainvoke(payload)


async def test_active_organisation_is_pursued_with_the_people_behind_it(github):
    found = await research(org="https://github.com/northwind", max_people=2)
    assert found["company"]["name"] == "Northwind Robotics"
    assert [repo["name"] for repo in found["repos"]] == ["picker", "dock"]
    assert found["verdict"] == "pursue"
    assert found["hook"] == "Northwind Robotics works on picker (Plans picks)"
    assert [(one["login"], one["commits"], one["repo"]) for one in found["people"]] == [
        ("tomas", 445, "northwind/dock"),
        ("maya", 310, "northwind/picker"),
    ]
    assert found["people"][1]["name"] == "Maya Laurent"
    assert (found["partial"], found["missing"], found["model"]) == (False, [], "offline-rules")


async def test_two_answers_of_the_model_take_two_paths(github, model):
    model({"verdict": "pursue", "signals": ["active"], "hook": "picker"})
    pursued = await research(org="northwind")
    model({"verdict": "watch", "signals": ["quiet"], "hook": ""})
    watched = await research(org="northwind")
    assert len(pursued["people"]) == 2
    assert watched["people"] == []
    assert (watched["verdict"], watched["signals"]) == ("watch", ["quiet"])


async def test_without_network_the_result_is_partial_and_soon():
    began = time.perf_counter()
    found = await research(org="northwind")
    assert time.perf_counter() - began < 10
    assert (found["verdict"], found["partial"], found["company"]) == ("unknown", True, {})
    assert found["missing"][0].startswith("GitHub cannot be reached")


async def test_unknown_organisation_is_named(github):
    found = await research(org="nobody-here")
    assert found["missing"] == ["GitHub knows no organisation or user nobody-here"]


async def test_source_that_fails_half_way_leaves_a_partial_result(github):
    def limited(asked):
        if "contributors" in asked.path:
            return (
                403,
                {**github_wire.RATE, "x-ratelimit-remaining": "0"},
                {"message": "API rate limit exceeded"},
            )
        return github_wire.answer(asked)

    github.answer = limited
    found = await research(org="northwind")
    assert found["verdict"] == "pursue"
    assert found["people"] == []
    assert found["partial"] is True
    assert found["missing"] == [
        f"contributors of northwind/{name}: GitHub refuses more requests for now (HTTP 403, rate limit)"
        for name in ("dock", "picker")
    ]


async def test_empty_repository_and_empty_organisation(github):
    def bare(asked):
        if asked.path.endswith("/contributors"):
            return 204, github_wire.RATE, b""
        return github_wire.answer(asked)

    github.answer = bare
    assert (await research(org="northwind"))["people"] == []
    github.answer = lambda asked: (
        (200, github_wire.RATE, []) if asked.path.endswith("/repos") else github_wire.answer(asked)
    )
    assert (await research(org="northwind"))["verdict"] == "skip"


async def test_source_that_lies_about_its_shape_is_reported(github):
    github.answer = lambda asked: (200, github_wire.RATE, ["not", "an", "account"])
    found = await research(org="northwind")
    assert found["missing"] == ["GitHub answered in an unknown shape"]


@pytest.mark.parametrize("org", ["", "../../admin", "a b", "https://evil.example/x", "-x", "x" * 60])
async def test_name_that_is_none_is_refused_before_any_request(github, org):
    with pytest.raises(LangGraphError, match="org: ") as caught:
        await research(org=org)
    assert caught.value.kind == "client"
    assert github.asked == []


async def test_token_is_sent_and_never_returned(github, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_loopback")
    found = await research(org="northwind")
    assert {asked.headers["authorization"] for asked in github.asked} == {"Bearer ghp_loopback"}
    assert "ghp_loopback" not in str(found)
