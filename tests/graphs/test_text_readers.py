"""extract_stack and classify_ai_intent: what they say has to stand in the text."""

from __future__ import annotations

import pytest

from contract.errors import LangGraphError
from contract.shapes import SHAPES
from fleet.graphs.classify import ai_intent, stack
from fleet.kit.evidence import stands_in

ADVERT = SHAPES["extract_stack"]["examples"][0]["text"]
PLAN = SHAPES["classify_ai_intent"]["examples"][0]


async def extract(**payload):
    return await stack.build_graph().ainvoke(payload)


async def intent(**payload):
    return await ai_intent.build_graph().ainvoke(payload)


async def test_technologies_come_with_their_words_and_ambiguous_names_are_settled():
    found = await extract(text=ADVERT)
    assert {one["name"] for one in found["technologies"]} == {
        "Go",
        "Python",
        "PostgreSQL",
        "Kafka",
        "AWS",
        "Terraform",
    }
    assert all(stands_in(one["evidence"], ADVERT) for one in found["technologies"])
    assert "extract_stack.settle" in found["prompts"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ready to Go? Our R&D team sparks joy.", set()),
        ("JavaScript and Node.js, no Java.", {"JavaScript", "Node.js"}),
        ("We love C++ and C#.", {"C++", "C#"}),
        ("Frontend in React\nbackend in Django", {"React", "Django"}),
        ("javascripting pythonic reactive", set()),
    ],
)
async def test_names_are_whole_words(text, names):
    assert {one["name"] for one in (await extract(text=text))["technologies"]} == names


async def test_quote_that_does_not_stand_in_the_text_is_rejected_and_doubts_take_another_path(model):
    true = {"name": "Kafka", "category": "data", "evidence": "PostgreSQL and   kafka"}
    false = {"name": "Oracle", "category": "database", "evidence": "runs on Oracle"}
    service = model({"technologies": [true, false], "unsure": []})
    found = await extract(text=ADVERT)
    assert ([one["name"] for one in found["technologies"]], found["rejected"], len(service.asked)) == (
        ["Kafka"],
        ["Oracle"],
        1,
    )
    go = {"name": "Go", "category": "language", "evidence": "services in Go"}
    service = model({"technologies": [true], "unsure": ["Go"]}, {"technologies": [go]})
    assert [one["name"] for one in (await extract(text=ADVERT))["technologies"]] == ["Kafka", "Go"]
    assert len(service.asked) == 2


async def test_private_website_is_refused_and_named(loopback):
    service = loopback(lambda asked: (200, {"content-type": "text/html"}, b"<p>Python</p>"))
    found = await extract(website=service.base_url)
    assert (found["partial"], found["technologies"], service.asked) == (True, [], [])
    assert "not a public address" in found["missing"][0]


async def test_nothing_to_read_is_a_client_error():
    with pytest.raises(LangGraphError, match="text: ") as caught:
        await extract(text="  ")
    assert caught.value.kind == "client"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (PLAN["text"], "exploring"),
        ("Our platform provides AI agents to banks.", "building"),
        ("Since June we use machine learning to plan our routes.", "adopting"),
        ("We do not use AI and never will.", "none"),
        ("We bake bread.", "none"),
        ("", "none"),
    ],
)
async def test_offline_labels(text, label):
    found = await intent(text=text)
    assert found["label"] == label
    assert ("need" in found) is (label != "none")


async def test_label_without_a_true_quote_is_unproven(model):
    service = model({"label": "building", "confidence": 0.9, "evidence": ["we train our own models"]})
    found = await intent(text="We bake bread.")
    assert (found["label"], found["evidence"], found["confidence"], len(service.asked)) == (
        "unproven",
        [],
        0.0,
        1,
    )


async def test_two_labels_of_the_model_take_two_paths(model):
    service = model(
        {"label": "exploring", "confidence": 0.9, "evidence": ["exploring LLM agents"]}, {"need": "a start"}
    )
    assert (await intent(**PLAN))["need"] == "a start"
    assert len(service.asked) == 2
    service = model({"label": "none", "confidence": 0.9, "evidence": []})
    assert "need" not in await intent(**PLAN)
    assert len(service.asked) == 1
