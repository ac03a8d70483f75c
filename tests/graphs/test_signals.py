"""ashby_ingest, gh_patterns and competitors_team."""

from __future__ import annotations

import threading
from importlib import import_module

import pytest

from contract.errors import LangGraphError
from contract.registry import GRAPHS
from contract.shapes import SHAPES
from tests.graphs import github_wire, web_wire

MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}


async def run(name, **changes):
    payload = {**SHAPES[name]["examples"][0], **changes}
    return await import_module(MODULES[name]).build_graph().ainvoke(payload)


@pytest.fixture
def ashby(loopback, monkeypatch):
    jobs = [
        web_wire.job("Senior Data Engineer"),
        web_wire.job("Machine Learning Lead", publishedAt="2026-03-09T10:00:00.000+00:00"),
        web_wire.job("Data Analyst", shouldDisplayCompensationOnJobPostings=False),
        web_wire.job("Secret Role", isListed=False),
    ]
    service = loopback(lambda asked: (200, {}, web_wire.board(*jobs)))
    monkeypatch.setenv("ASHBY_API_URL", service.base_url)
    return service


@pytest.fixture
def github(loopback, monkeypatch):
    def answer(asked):
        if asked.path.endswith("/contents/"):
            return 200, github_wire.RATE, [{"name": name, "type": "file"} for name in ("Dockerfile", "tests")]
        return github_wire.answer(asked)

    service = loopback(answer)
    monkeypatch.setenv("GITHUB_API_URL", service.base_url)
    return service


async def test_board_is_read_as_data_and_as_a_signal(ashby):
    found = await run("ashby_ingest", board="https://jobs.ashbyhq.com/northwind/x")
    assert (ashby.asked[0].path, ashby.asked[0].query) == (
        "/posting-api/job-board/northwind",
        {"includeCompensation": "true"},
    )
    assert [job["title"] for job in found["jobs"]] == [
        "Machine Learning Lead",
        "Senior Data Engineer",
        "Data Analyst",
    ]
    assert [job["pay"] for job in found["jobs"]] == ["€60K – €75K • Offers Equity"] * 2 + [""]
    assert found["jobs"][0]["other_locations"] == ["Berlin"]
    assert found["counts"] == {"department": {"Engineering": 3}, "country": {"France": 3}}
    assert (found["signal"], found["owner"]) == ("building", "Head of Engineering")
    assert "Machine Learning Lead" in found["opening"]


async def test_two_signals_of_the_model_take_two_paths(ashby, model):
    model({"signal": "building", "jobs": [1, 1, 40], "why": "so"}, {"opening": "hello", "owner": "CTO"})
    found = await run("ashby_ingest")
    assert (found["shown_by"], found["opening"]) == (["Machine Learning Lead"], "hello")
    service = model({"signal": "steady", "jobs": [], "why": "so"})
    assert "opening" not in await run("ashby_ingest")
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        (404, b"Not Found", "Ashby has no board northwind-robotics-demo"),
        (200, {"success": False}, "Ashby answered in an unknown shape"),
        (500, b"", "Ashby answered HTTP 500"),
    ],
)
async def test_board_that_cannot_be_read_is_named(ashby, status, body, missing):
    ashby.answer = lambda asked: (status, {}, body)
    found = await run("ashby_ingest")
    assert (found["signal"], found["partial"], found["missing"]) == ("unknown", True, [missing])


@pytest.mark.parametrize("board", ["../secrets", "..", "https://evil.example/x", "a/b"])
async def test_name_that_is_none_is_refused_before_any_request(ashby, board):
    with pytest.raises(LangGraphError, match="board: "):
        await run("ashby_ingest", board=board)
    assert ashby.asked == []


async def test_practices_are_read_from_the_files(github):
    found = await run("gh_patterns", org="northwind")
    assert found["repos"][0]["practices"] == ["containers", "tests"]
    assert found["counts"]["tests"] == 2
    assert (found["partial"], found["verdict"] in ("consistent", "mixed")) == (False, True)


async def test_verdicts_on_patterns_take_three_paths(github, model):
    for verdict, field in (("consistent", "gaps"), ("mixed", "groups")):
        model({"verdict": verdict, "patterns": ["tests: 2"]}, {field: ["one"]})
        found = await run("gh_patterns", org="northwind")
        assert (found[field], {"gaps", "groups"} & set(found)) == (["one"], {field})
    service = model({"verdict": "bare", "patterns": []})
    await run("gh_patterns", org="northwind")
    assert len(service.asked) == 1


async def test_repository_whose_files_cannot_be_read_is_named(github):
    inner = github.answer
    github.answer = lambda asked: (500, {}, b"") if "picker/contents" in asked.path else inner(asked)
    found = await run("gh_patterns", org="northwind")
    assert found["missing"] == ["files of northwind/picker: GitHub answered HTTP 500"]
    assert found["partial"] is True


async def test_each_competitor_is_studied_and_the_direct_ones_compared():
    found = await run("competitors_team")
    assert {one["name"]: one["overlap"] for one in found["studied"]} == {
        "Pickwise": "direct",
        "Fjord Freight": "none",
    }
    assert "Pickwise" in found["standing"]
    assert found["model"] == "offline-rules"


async def test_members_work_at_the_same_time(model):
    service = model({"overlap": "none", "strengths": []})
    plain = service.answer
    second = threading.Event()
    asked_now: list[str] = []

    def slow(asked):
        """The first question is answered when a second has come: one after the other would wait in vain."""
        asked_now.append("question")
        if len(asked_now) > 1:
            second.set()
        assert second.wait(20), "nobody else asked meanwhile"
        return plain(asked)

    service.answer = slow
    named = [{"name": f"C{n}", "description": "sells"} for n in range(6)]
    found = await run("competitors_team", competitors=named)
    assert len(found["studied"]) == 6
    assert "standing" not in found


async def test_two_overlaps_of_the_model_take_two_paths(model):
    one = [{"name": "Pickwise", "description": "Sells picking."}]
    model(
        {"overlap": "direct", "strengths": ["sells picking", "won a prize"]},
        {"standing": "s", "question": "q?"},
    )
    found = await run("competitors_team", competitors=one)
    assert (found["standing"], found["studied"][0]["strengths"]) == ("s", ["sells picking"])
    model({"overlap": "indirect", "strengths": []})
    assert "standing" not in await run("competitors_team", competitors=one)


async def test_competitors_are_named_from_texts_and_made_up_ones_dropped(model):
    named = [{"name": "Pickwise", "website": ""}, {"name": "Invented Inc", "website": ""}]
    model({"competitors": named}, {"overlap": "none", "strengths": []})
    found = await run("competitors_team", competitors=[], texts=["An alternative to Pickwise."])
    assert [one["name"] for one in found["studied"]] == ["Pickwise"]


async def test_member_the_model_fails_on_leaves_the_others(model):
    model("nonsense", "nonsense", "nonsense", "nonsense")
    found = await run("competitors_team")
    assert {one["overlap"] for one in found["studied"]} == {"unknown"}
    assert (found["partial"], len(found["missing"])) == (True, 2)


async def test_company_itself_and_second_spellings_are_no_competitors(model):
    spellings = ("Northwind Robotics GmbH", "Pickwise", "Pickwise Inc.", "Shelfbot", "Nobody Said")
    named = {"competitors": [{"name": name, "website": ""} for name in spellings]}
    service = model(named, {"overlap": "none", "strengths": []}, {"overlap": "none", "strengths": []})
    text = "Northwind Robotics GmbH, Pickwise (Pickwise Inc.) and Shelfbot share the market."
    found = await run("competitors_team", competitors=[], texts=[text])
    assert sorted(one["name"] for one in found["studied"]) == ["Pickwise", "Shelfbot"]
    assert len(service.asked) == 3
