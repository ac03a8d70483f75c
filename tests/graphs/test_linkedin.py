"""The graphs behind `/linkedin/…`: what they say of posts and profiles, and their addresses on a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from contract.errors import LangGraphError
from contract.shapes import SHAPES
from fleet.graphs.core import linkedin_post_score, linkedin_profile_intake
from tests.graphs.test_workers import SECRET, environment
from tests.worker.conftest import free_port, start

NEED, NEWS, ADVERT = SHAPES["linkedin_post_score"]["examples"]
PROFILE, PASTED, COMPANY = SHAPES["linkedin_profile_intake"]["examples"]


async def score(payload):
    return await linkedin_post_score.build_graph().ainvoke(payload)


async def intake(payload):
    return await linkedin_profile_intake.build_graph().ainvoke(payload)


@pytest.fixture
def platform(loopback, monkeypatch):
    """Answers `runs/wait` as the dispatcher does, with what `score_contact` gives."""
    scored = {
        "label": "decision_maker",
        "score": 88,
        "reason": "heads operations",
        "talk_about": "researched mails",
    }
    service = loopback(lambda asked: (200, {"x-agentic-pool": "CLASSIFY"}, scored))
    monkeypatch.setenv("PLATFORM_URL", service.base_url)
    monkeypatch.setenv("PLATFORM_API_KEY", "key-of-the-pool")
    return service


async def test_need_is_worth_a_comment_news_less_and_an_advert_nothing():
    need, news, advert = [await score(one) for one in (NEED, NEWS, ADVERT)]
    assert [one["kind"] for one in (need, news, advert)] == ["need", "change", "promotion"]
    assert need["decision"] == "engage"
    assert need["score"] > news["score"]
    assert need["evidence"] in NEED["post"]["text"]
    assert need["comment"].startswith("Maya, you write “")
    assert (advert["decision"], "comment" in advert) == ("leave", False)


async def test_two_ratings_of_a_post_take_two_paths(model):
    rated = {"confidence": 0.9, "relevance": 1, "urgency": 1, "evidence": "What tool do you use for this?"}
    service = model({"kind": "need", **rated}, {"comment": "Which ones?", "next_step": "wait"})
    found = await score(NEED)
    assert (found["decision"], found["comment"], len(service.asked)) == ("engage", "Which ones?", 2)
    service = model({"kind": "opinion", **rated})
    found = await score(NEED)
    assert (found["decision"], len(service.asked)) == ("leave", 1)


async def test_quote_that_does_not_stand_in_the_post_scores_nothing(model):
    model({"kind": "need", "confidence": 1, "relevance": 1, "urgency": 1, "evidence": "we will buy tomorrow"})
    found = await score(NEED)
    assert (found["kind"], found["score"], found["decision"]) == ("unproven", 0, "leave")


async def test_profile_becomes_a_contact_and_a_company_and_is_scored_elsewhere(platform):
    found = await intake(PROFILE)
    assert found["contact"] == {
        "name": "Maya Laurent",
        "role": "Head of Operations",
        "email": "maya@northwind.example",
        "location": "Lyon, France",
        "linkedin": "https://www.linkedin.com/in/maya-laurent-demo",
    }
    assert (found["company"], found["outcome"], found["scored"]["score"]) == (
        {"name": "Northwind Robotics"},
        "taken",
        88,
    )
    assert platform.asked[0].body["assistant_id"] == "score_contact"
    assert found["next_step"] == "hand Maya Laurent to lead_pipeline"


async def test_copied_text_is_read_and_a_company_page_is_turned_away(platform):
    found = await intake(PASTED)
    assert found["contact"] == {"name": "Tomas Vik", "role": "Plant manager", "location": "Neuss, Germany"}
    assert found["next_step"].startswith("find an e-mail address of Tomas Vik")
    found = await intake(COMPANY)
    assert (found["outcome"], found["contact"], len(platform.asked)) == ("refused", {}, 1)


async def test_two_readings_of_a_profile_take_two_paths_and_nothing_made_up_is_kept(model, monkeypatch):
    monkeypatch.setenv("PLATFORM_URL", "http://127.0.0.1:9")
    said = {
        "name": "Tomas Vik",
        "role": "CEO",
        "company": "Rheinmotoren",
        "location": "",
        "email": "tomas@made-up.example",
    }
    model({"decision": "person", **said})
    found = await intake(PASTED)
    assert (found["outcome"], found["rejected"], found["contact"]) == (
        "incomplete",
        ["role", "email"],
        {"name": "Tomas Vik"},
    )
    assert found["partial"]
    assert found["missing"][0] == "the profile names no role"
    assert found["missing"][1].startswith("score_contact: ")
    model({"decision": "organisation", **said})
    assert (await intake(PASTED))["outcome"] == "refused"


@pytest.mark.parametrize(("run", "payload"), [(score, NEED), (intake, PROFILE)])
async def test_nonsense_twice_is_a_backend_error(model, run, payload):
    service = model("nonsense")
    with pytest.raises(LangGraphError, match="twice") as caught:
        await run(payload)
    assert (caught.value.kind, len(service.asked)) == ("backend", 2)


@pytest.mark.parametrize(
    ("run", "payload", "field"), [(score, {"post": {"text": " "}}, "post/text"), (intake, {}, "profile")]
)
async def test_empty_input_is_a_client_error(run, payload, field):
    with pytest.raises(LangGraphError, match=f"{field}: ") as caught:
        await run(payload)
    assert caught.value.kind == "client"


@pytest.mark.processes
def test_addresses_on_a_real_worker():
    port = free_port()
    command = [sys.executable, "-m", "fleet.worker", "--pool", "CORE", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        server = start("CORE", command, environment("CORE"), Path(folder) / "log", port)
        try:
            listed = call(server.url, "/linkedin")[1]["routes"]
            for route in listed:
                for example in route["input_schema"]["examples"]:
                    status, answer, headers = call(server.url, route["path"], example)
                    assert (status, "__error__" in answer) == (200, False), answer
                    assert "/runs/" in headers["content-location"]
            assert refused(server.url, "/linkedin/posts/score", {"post": {"text": 7}}) == "/post/text"
            assert refused(server.url, "/linkedin/posts/score", {}) == "/post"
            assert refused(server.url, "/linkedin/posts/score", []) == ""
            assert refused(server.url, "/linkedin/profiles", {"profil": {}}) == "/profil"
            wrong = {"profile": {"experience": [{"title": "x"}, {"title": []}]}}
            assert refused(server.url, "/linkedin/profiles", wrong) == "/profile/experience/1/title"
            assert call(server.url, "/linkedin/else", {})[0] == 404
        finally:
            server.process.terminate()
            try:
                server.process.wait(20)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait(10)


def call(url, path, body=None):
    headers = {"content-type": "application/json", "x-api-key": SECRET}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url + path, data, headers), timeout=30
        ) as response:
            return response.status, json.loads(response.read()), response.headers
    except HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def refused(url, path, body):
    status, answer, _headers = call(url, path, body)
    assert (status, answer["kind"]) == (422, "client")
    assert answer["errors"][0]["pointer"] == answer["pointer"]
    return answer["pointer"]
