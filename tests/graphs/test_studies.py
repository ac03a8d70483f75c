"""The studies of one company: what all of them do, and what each makes of its example."""

from __future__ import annotations

import time
from importlib import import_module

import pytest

from contract.errors import LangGraphError
from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.kit import ssrf
from tests.graphs import web_wire

MODULES = {spec.assistant_id: spec.module for spec in GRAPHS}
#: Study → verdict of its first example, and two verdicts with a field that only the first one's path fills.
STUDIES = {
    "company_enrichment": ("enriched", ("enriched", "profile"), "thin"),
    "company_problems": ("clear", ("clear", "problems"), "none"),
    "product_intel": ("product", ("product", "capabilities"), "service"),
    "pricing": ("public", ("public", "plans"), "on_request"),
    "gtm": ("sales_led", ("sales_led", "approach"), "needs_more"),
    "positioning": ("sharp", ("sharp", "statement"), "blurred"),
    "deep_icp": ("clear", ("clear", "profile"), "mixed"),
    "consultancies_enrich": ("consultancy", ("consultancy", "proposal"), "product_company"),
}
TEXT = "Starter costs €49 per month."
PROSE = {"type": "string"}


async def run(study, **payload):
    return await import_module(MODULES[study]).build_graph().ainvoke(payload)


def filled(schema):
    """The least answer that a schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {key: filled(value) for key, value in schema["properties"].items()}
    return [] if schema.get("type") == "array" else "said"


@pytest.mark.parametrize("study", STUDIES)
async def test_first_example_gets_its_verdict_on_quotes_that_stand_in_the_text(study):
    example = SHAPES[study]["examples"][0]
    found = await run(study, **example)
    known = " ".join([str(example["company"]), *example["texts"]])
    assert found["verdict"] == STUDIES[study][0]
    assert all(one["quote"] in known for one in found["findings"])
    assert found[STUDIES[study][1][1]]
    assert (found["partial"], found["rejected"]) == (False, [])


@pytest.mark.parametrize("study", STUDIES)
async def test_two_verdicts_of_the_model_take_two_paths(study, model):
    _example, (verdict, field), other = STUDIES[study]
    spec = import_module(MODULES[study]).STUDY
    topic = spec.judge.schema["properties"]["findings"]["items"]["properties"]["topic"]["enum"][0]
    judged = {"findings": [{"topic": topic, "quote": "starter costs"}], "look_for": ""}
    follow_up = spec.follow_ups[verdict]
    model({**judged, "verdict": verdict}, filled(follow_up.schema))
    first = await run(study, company={"name": "N"}, texts=[TEXT])
    assert (first["verdict"], field in first) == (verdict, True)
    second_answers = [filled(spec.follow_ups[other].schema)] if other in spec.follow_ups else []
    model({**judged, "verdict": other}, *second_answers)
    if other != "needs_more":
        second = await run(study, company={"name": "N"}, texts=[TEXT])
        assert (second["verdict"], field in second) == (other, False)
    else:
        second = await run(study, company={"name": "N"}, texts=[TEXT])
        assert second["missing"] == ["Brave Search: needs BRAVE_API_KEY, which is not set"]
        assert field not in second


async def test_nothing_to_read_is_said_and_no_model_is_asked(model):
    service = model("must not be asked")
    found = await run("pricing", company={"name": "Mystery Ltd"})
    assert (found["verdict"], found["partial"], service.asked) == ("unknown", True, [])
    assert found["missing"] == ["Brave Search: needs BRAVE_API_KEY, which is not set"]


async def test_quotes_the_model_makes_up_prove_nothing(model):
    model({"verdict": "public", "findings": [{"topic": "price", "quote": "€5"}], "look_for": ""})
    found = await run("pricing", company={"name": "N"}, texts=[TEXT])
    assert (found["verdict"], found["findings"], found["rejected"]) == ("unproven", [], ["€5"])
    assert "plans" not in found


async def test_figures_the_model_makes_up_are_dropped(model):
    judged = {"verdict": "public", "findings": [{"topic": "price", "quote": TEXT}], "look_for": ""}
    plans = [
        {"name": "Starter", "price": "€49", "period": "month"},
        {"name": "Pro", "price": "€99", "period": "month"},
    ]
    model(judged, {"plans": plans})
    found = await run("pricing", company={"name": "N"}, texts=[TEXT])
    assert found["plans"] == plans[:1]


@pytest.fixture
def brave(loopback, monkeypatch):
    service = loopback(
        lambda asked: (
            200,
            {},
            web_wire.brave(
                ("Pricing", "https://n.example/p", "<strong>Starter</strong> costs €49 per month &amp; more")
            ),
        )
    )
    monkeypatch.setenv("BRAVE_API_URL", service.base_url)
    monkeypatch.setenv("BRAVE_API_KEY", "brave-secret")
    return service


async def test_study_digs_once_with_the_words_of_the_model(model, brave):
    model(
        {"verdict": "needs_more", "findings": [], "look_for": "price list"},
        {
            "verdict": "public",
            "findings": [{"topic": "price", "quote": "costs €49 per month & more"}],
            "look_for": "",
        },
        {"plans": []},
    )
    found = await run("pricing", company={"name": "Northwind"}, texts=["We sell robots."])
    assert [asked.query["q"] for asked in brave.asked] == ["Northwind price list"]
    assert (found["verdict"], found["findings"][0]["url"]) == ("public", "https://n.example/p")
    assert brave.asked[0].headers["x-subscription-token"] == "brave-secret"
    assert "brave-secret" not in str(found)


async def test_search_that_fails_leaves_what_is_known(brave):
    brave.answer = lambda asked: (429, {"retry-after": "60"}, {"type": "ErrorResponse"})
    found = await run("pricing", company={"name": "Northwind"}, texts=["We sell robots."])
    assert (found["verdict"], found["partial"]) == ("needs_more", True)
    assert "rate limit" in found["missing"][0]


async def test_source_that_lies_about_its_shape_is_reported(brave):
    brave.answer = lambda asked: (200, {}, {"web": "none"})
    found = await run("pricing", company={"name": "Northwind"})
    assert found["missing"] == ["Brave Search: answered in an unknown shape"]


async def test_website_is_read_page_by_page(loopback, monkeypatch):
    monkeypatch.setattr(ssrf, "is_public", lambda address: True)
    pages = {
        "/": b"<h1>Northwind</h1><p>We build robots.</p>",
        "/pricing": b"<p>Starter costs &euro;49 per month.</p>",
    }

    def answer(asked):
        return (
            (200, {"content-type": "text/html"}, pages[asked.path]) if asked.path in pages else (404, {}, b"")
        )

    site = loopback(answer)
    found = await run("pricing", company={"name": "Northwind", "website": site.base_url})
    assert found["plans"] == [{"name": "Starter", "price": "€49", "period": "month"}]
    assert found["findings"][0]["url"] == f"{site.base_url}/pricing"
    assert found["missing"] == []


async def test_website_that_is_private_or_away_is_named_and_soon():
    began = time.perf_counter()
    found = await run("gtm", company={"name": "N", "website": "http://127.0.0.1:9"}, texts=["Book a demo."])
    assert time.perf_counter() - began < 10
    assert (found["verdict"], found["partial"]) == ("sales_led", True)
    assert "not a public address" in found["missing"][0]


async def test_model_that_answers_nonsense_twice_is_an_error_of_the_backend(model):
    model("nonsense")
    with pytest.raises(LangGraphError, match="no usable answer") as caught:
        await run("gtm", company={"name": "N"}, texts=["Book a demo."])
    assert caught.value.kind == "backend"
