from __future__ import annotations

import asyncio
from importlib import import_module

import jsonschema
import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.graphs.core.lead_gen_team import MEMBERS, build_graph

EXAMPLE = SHAPES["lead_gen_team"]["examples"][0]
MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}


@pytest.fixture
def platform(loopback, monkeypatch):
    """The stateless `runs/wait` of the platform: each call runs the real graph on input that fits its shape."""
    down: set[str] = set()

    def answer(asked):
        assistant_id = asked.body["assistant_id"]
        jsonschema.validate(asked.body["input"], SHAPES[assistant_id])
        if assistant_id in down:
            return 404, {}, {"detail": f"{assistant_id} is away"}
        return (
            200,
            {},
            asyncio.run(import_module(MODULES[assistant_id]).build_graph().ainvoke(asked.body["input"])),
        )

    service = loopback(answer)
    monkeypatch.setenv("PLATFORM_URL", service.base_url)
    monkeypatch.setenv("PLATFORM_API_KEY", "key-of-the-pool")
    return service, down


async def lead(**changes):
    return await build_graph().ainvoke({**EXAMPLE, **changes})


async def test_lead_ripens_until_the_mail_is_written(platform):
    found = await lead()
    assert found["outcome"] == "written"
    members = [hop["assistant_id"] for hop in found["hops"]]
    assert members == [
        "company_problems",
        "classify_company",
        "find_decision_maker",
        "score_contact",
        "email_outreach",
    ]
    assert all(hop["ok"] and hop["why"] for hop in found["hops"])
    assert found["results"]["email_outreach"]["body"].startswith("Hi Maya")


async def test_company_that_does_not_fit_ends_the_work(platform):
    found = await lead(
        company={"name": "Casa Verde", "industry": "restaurants", "employees": 8, "description": "Kitchen"}
    )
    assert found["outcome"] == "not_fit"
    assert "email_outreach" not in found["results"]


async def test_member_that_is_away_is_named_and_not_asked_again(platform):
    service, down = platform
    down.add("find_decision_maker")
    found = await lead()
    assert (found["outcome"], found["partial"]) == ("incomplete", True)
    assert found["missing"][0].startswith("find_decision_maker: ")
    asked = [call.body["assistant_id"] for call in service.asked]
    assert asked.count("find_decision_maker") == 1


async def test_two_choices_of_the_supervisor_take_two_paths(loopback, monkeypatch, model):
    monkeypatch.setenv("PLATFORM_URL", loopback(lambda asked: (200, {}, {})).base_url)
    model({"next": "finish", "why": "enough"})
    assert (await lead())["outcome"] == "incomplete"
    model({"next": "classify_company", "why": "fit?"})
    found = await lead()
    assert [hop["assistant_id"] for hop in found["hops"]] == ["classify_company"]


async def test_platform_that_cannot_be_reached_gives_a_partial_result(monkeypatch):
    monkeypatch.setenv("PLATFORM_URL", "http://127.0.0.1:9")
    found = await lead()
    assert (found["outcome"], found["partial"]) == ("incomplete", True)
    assert len(found["hops"]) <= len(MEMBERS)
