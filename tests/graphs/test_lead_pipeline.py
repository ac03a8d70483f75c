from __future__ import annotations

import asyncio
from importlib import import_module

import jsonschema
import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.graphs.core.lead_pipeline import build_graph
from tests.graphs import github_wire

EXAMPLE = SHAPES["lead_pipeline"]["examples"][0]
MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}
RUN = "0199f4a2-7a51-7c10-8000-0000000000{:02d}"


@pytest.fixture
def platform(loopback, monkeypatch):
    """The stateless `runs/wait` of the platform: each call runs the real graph on input that fits its shape."""
    down: dict[str, int] = {}

    def answer(asked):
        assistant_id = asked.body["assistant_id"]
        assert (asked.method, asked.path) == ("POST", "/runs/wait")
        jsonschema.validate(asked.body["input"], SHAPES[assistant_id])
        if assistant_id in down:
            return down[assistant_id], {}, {"detail": f"the pool of {assistant_id} is away"}
        output = asyncio.run(import_module(MODULES[assistant_id]).build_graph().ainvoke(asked.body["input"]))
        run_id = RUN.format(len(service.asked))
        headers = {
            "x-agentic-pool": "POOL",
            "x-langsmith-run-id": run_id,
            "x-request-id": asked.headers["x-request-id"],
        }
        return 200, headers, output

    service = loopback(answer)
    github = loopback(github_wire.answer)
    monkeypatch.setenv("PLATFORM_URL", service.base_url)
    monkeypatch.setenv("PLATFORM_API_KEY", "key-of-the-pool")
    monkeypatch.setenv("GITHUB_API_URL", github.base_url)
    return service, down


async def pipeline(**changes):
    return await build_graph().ainvoke({**EXAMPLE, **changes})


async def test_lead_is_researched_judged_and_written_to(platform):
    service, _down = platform
    result = await pipeline(company={**EXAMPLE["company"], "github": "northwind", "facts": []})
    assert result["outcome"] == "composed"
    assert [(hop["assistant_id"], hop["ok"], hop["run_id"]) for hop in result["hops"]] == [
        ("gh_lead_research", True, RUN.format(1)),
        ("classify_company", True, RUN.format(2)),
        ("email_compose", True, RUN.format(3)),
    ]
    assert "works on picker" in result["email"]["body"]
    assert (result["partial"], result["missing"]) == (False, [])
    assert {asked.headers["authorization"] for asked in service.asked} == {"Bearer key-of-the-pool"}


@pytest.mark.parametrize("status", [503, 404, 500])
async def test_research_that_is_down_is_named_and_the_rest_goes_on(platform, status):
    _service, down = platform
    down["gh_lead_research"] = status
    result = await pipeline()
    assert result["outcome"] == "composed"
    assert result["partial"] is True
    assert result["missing"][0].startswith("gh_lead_research: ")
    assert result["hops"][0]["ok"] is False


async def test_without_a_judgement_no_mail_is_written(platform):
    service, down = platform
    down["classify_company"] = 503
    result = await pipeline()
    assert (result["outcome"], result["email"], result["partial"]) == ("incomplete", {}, True)
    assert [asked.body["assistant_id"] for asked in service.asked] == ["gh_lead_research", "classify_company"]


async def test_letter_that_fails_leaves_the_judgement(platform):
    _service, down = platform
    down["email_compose"] = 500
    result = await pipeline()
    assert (result["outcome"], result["judgement"]["verdict"]) == ("incomplete", "fit")


async def test_company_that_does_not_fit_gets_no_mail(platform):
    service, _down = platform
    result = await pipeline(company={"name": "Casa Verde", "industry": "restaurants", "employees": 8})
    assert (result["outcome"], result["email"]) == ("not_fit", {})
    assert len(service.asked) == 1


async def test_platform_that_cannot_be_reached_gives_a_partial_result(monkeypatch):
    monkeypatch.setenv("PLATFORM_URL", "http://127.0.0.1:9")
    result = await pipeline()
    assert (result["outcome"], len(result["missing"])) == ("incomplete", 2)
