"""contact_discovery, contact_enrich and find_decision_maker."""

from __future__ import annotations

from importlib import import_module

import pytest

from contract.errors import LangGraphError
from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.kit.rules.people import read_people
from tests.graphs import web_wire

MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}


async def run(name, **changes):
    payload = {**SHAPES[name]["examples"][0], **changes}
    return await import_module(MODULES[name]).build_graph().ainvoke(payload)


@pytest.fixture
def brave(loopback, monkeypatch):
    hit = ("Team", "https://n.example/team", "Ines Faure, Head of Sales at Northwind Robotics.")
    service = loopback(lambda asked: (200, {}, web_wire.brave(hit)))
    monkeypatch.setenv("BRAVE_API_URL", service.base_url)
    monkeypatch.setenv("BRAVE_API_KEY", "brave-secret")
    return service


async def test_people_stand_in_the_text_with_role_and_address():
    found = await run("contact_discovery")
    assert [(one["name"], one["role"], one["email"]) for one in found["people"]] == [
        ("Maya Laurent", "Head of Operations", "maya.laurent@northwind.example"),
        ("Tomas Vik", "Director of Engineering", ""),
    ]


async def test_wanted_role_that_is_missing_is_looked_for_on_the_web(brave):
    found = await run("contact_discovery", roles=["Sales"])
    assert brave.asked[0].query["q"] == "Northwind Robotics Sales"
    assert found["people"][-1]["name"] == "Ines Faure"
    assert found["people"][-1]["url"] == "https://n.example/team"


async def test_two_decisions_on_contacts_take_two_paths(brave, model):
    people = [
        {"name": "Maya Laurent", "role": "", "email": ""},
        {"name": "Invented Person", "role": "", "email": ""},
    ]
    model({"people": people, "decision": "enough"})
    assert [one["name"] for one in (await run("contact_discovery"))["people"]] == ["Maya Laurent"]
    assert brave.asked == []
    service = model({"people": people, "decision": "look_further"})
    await run("contact_discovery")
    assert (len(brave.asked), len(service.asked)) == (1, 2)


async def test_role_and_address_the_model_makes_up_are_dropped(model):
    made_up = {"name": "Maya Laurent", "role": "CEO", "email": "maya@elsewhere.example"}
    model({"people": [made_up], "decision": "enough"})
    (one,) = (await run("contact_discovery"))["people"]
    assert (one["role"], one["email"], one["address"]) == ("", "", {})


async def test_members_of_the_organisation_are_read_from_github(loopback, monkeypatch):
    def answer(asked):
        if asked.path == "/orgs/northwind/public_members":
            return (
                200,
                {},
                [{"login": "maya", "id": 1, "type": "User"}, {"login": "gone", "id": 2, "type": "User"}],
            )
        if asked.path == "/users/maya":
            return (
                200,
                {},
                {"login": "maya", "name": "Maya Laurent", "bio": "Head of Operations", "html_url": "u"},
            )
        return 404, {}, {"message": "Not Found"}

    monkeypatch.setenv("GITHUB_API_URL", loopback(answer).base_url)
    found = await run("contact_discovery", company={"name": "N", "github": "northwind"}, texts=[])
    assert [(one["name"], one["source"]) for one in found["people"]] == [("Maya Laurent", "GitHub")]


async def test_only_texts_about_the_very_person_count():
    found = await run("contact_enrich")
    assert (found["identity"], found["address"]["of_company"]) == ("same", True)
    assert "spoke in Lyon" in found["interests"][0]
    other = await run("contact_enrich", texts=["Maya Laurent won the regatta."])
    assert (other["identity"], "interests" in other) == ("namesake", False)


async def test_two_identities_of_the_model_take_two_paths(model):
    profile = {"role": "Queen", "place": "Lyon", "interests": ["picking without paper", "chess"]}
    model({"identity": "same", "about": ["e1"]}, profile)
    found = await run("contact_enrich")
    assert (found["role"], found["place"], found["interests"]) == ("", "Lyon", ["picking without paper"])
    service = model({"identity": "unclear", "about": []})
    assert "interests" not in await run("contact_enrich")
    assert len(service.asked) == 1


async def test_identity_that_rests_on_no_text_is_unclear(model):
    model({"identity": "same", "about": ["e99"]})
    assert (await run("contact_enrich"))["identity"] == "unclear"


async def test_person_without_a_name_is_refused():
    with pytest.raises(LangGraphError, match=r"contact\.name: ") as caught:
        await run("contact_enrich", contact={"email": "x@y.example"})
    assert caught.value.kind == "client"


async def test_decision_maker_is_picked_by_title_and_nobody_leads_to_roles():
    found = await run("find_decision_maker")
    assert (found["verdict"], found["person"]["name"], found["others"]) == (
        "found",
        "Maya Laurent",
        ["Tomas Vik"],
    )
    nobody = await run("find_decision_maker", people=[])
    assert (nobody["verdict"], nobody["person"]) == ("nobody", {})
    assert nobody["roles"]


async def test_picks_of_the_model_take_three_paths(model):
    picked = {"confidence": 0.8, "why": "title"}
    model(
        {"verdict": "found", "person": 2, **picked}, {"talk_about": "cost", "others": ["Tomas Vik", "Nobody"]}
    )
    found = await run("find_decision_maker")
    assert (found["talk_about"], found["others"]) == ("cost", ["Tomas Vik"])
    model({"verdict": "champion", "person": 1, **picked}, {"ask_for": "Who?"})
    assert (await run("find_decision_maker"))["ask_for"] == "Who?"
    model({"verdict": "found", "person": 9, **picked}, {"roles": ["CEO"], "where": []})
    assert (await run("find_decision_maker"))["verdict"] == "nobody"


@pytest.mark.parametrize(
    "text", ["A" * 60_000, "Aa-" * 20_000, "Head of A" * 6_000, "A " * 30_000, "a@a." * 15_000]
)
def test_page_made_to_keep_the_rules_busy_is_read_like_any_other(text):
    """A rule whose work grows with the square of a word takes minutes here, on the loop of the whole pool."""
    found = read_people({"evidence": [{"text": text}], "roles": []})
    assert found["decision"] in ("enough", "look_further")
