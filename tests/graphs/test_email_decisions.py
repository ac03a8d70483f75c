"""email_outreach, email_opportunity and topic_outreach: the graphs that decide before they write."""

from __future__ import annotations

import pytest

from contract.shapes import SHAPES
from fleet.graphs.email import opportunity, outreach, topic

OUTREACH = SHAPES["email_outreach"]["examples"][0]
NEED = SHAPES["email_opportunity"]["examples"][0]
TOPIC = SHAPES["topic_outreach"]["examples"][0]
LETTER = {"subject": "Relay", "body": "Hi Maya,\n\nfirst?\n\nSam"}
GOOD = {"verdict": "good", "score": 1, "issues": []}


async def reach(**changes):
    return await outreach.build_graph().ainvoke({**OUTREACH, **changes})


async def answer(**changes):
    return await opportunity.build_graph().ainvoke({**NEED, **changes})


async def spread(**changes):
    return await topic.build_graph().ainvoke({**TOPIC, **changes})


async def test_mail_opens_with_what_happened_lately():
    letter = await reach()
    assert letter["angle"] == "signal"
    assert "I read that Northwind Robotics raised 12 million euros in March." in letter["body"]
    assert letter["critique"]["issues"] == []


async def test_without_anything_true_to_open_with_the_mail_is_held():
    held = await reach(contact={"name": "Ada"}, company={"name": "Mystery Ltd"}, signals=[])
    assert (held["angle"], "body" in held) == ("hold", False)


async def test_two_choices_of_the_model_take_two_paths(model):
    service = model({"angle": "hold", "rests_on": "", "why": "nothing"})
    assert "body" not in await reach()
    assert len(service.asked) == 1
    service = model({"angle": "role", "rests_on": "", "why": "role"}, LETTER, GOOD)
    assert (await reach())["body"] == LETTER["body"]
    assert len(service.asked) == 3


async def test_signal_the_model_made_up_holds_the_mail(model):
    service = model({"angle": "signal", "rests_on": "Northwind went public", "why": "news"})
    held = await reach()
    assert (held["angle"], held["rests_on"], len(service.asked)) == ("hold", "", 1)


async def test_need_is_answered_point_by_point():
    letter = await answer()
    assert (letter["decision"], letter["open_points"]) == ("apply", ["Required: GDPR compliance."])
    assert "“integration with HubSpot”" in letter["body"]
    assert "Required:" not in letter["body"]
    assert (letter["critique"]["issues"], letter["refined"]) == ([], False)
    assert "GDPR" in letter["body"]


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("Three drivers with a licence wanted.", "skip"),
        ("We need lead research. This search is closed.", "skip"),
        ("We need lead research. We need a lawyer. We need forklifts.", "ask"),
    ],
)
async def test_what_a_need_deserves(text, decision):
    found = await answer(opportunity={"title": "Search", "text": text})
    assert found["decision"] == decision
    assert ("body" in found) is (decision != "skip")


async def test_two_weighings_of_the_model_take_two_paths(model):
    weighed = {"matches": ["integration with HubSpot"], "open_points": ["budget"]}
    service = model({**weighed, "decision": "skip"})
    assert "body" not in await answer()
    service = model({**weighed, "decision": "ask"}, LETTER, GOOD)
    assert (await answer())["body"] == LETTER["body"]
    assert "one question" in service.asked[1].body["messages"][0]["content"]


async def test_match_that_is_not_asked_for_is_none(model):
    model({"decision": "apply", "matches": ["a Nobel prize"], "open_points": []})
    found = await answer()
    assert (found["decision"], found["matches"]) == ("skip", [])


async def test_topic_goes_to_whom_it_concerns_and_streams_each_letter():
    events = [event async for event in topic.build_graph().astream(TOPIC, stream_mode="custom")]
    assert [(event["done"], event["of"], event["recipient"]) for event in events] == [
        (1, 2, "maya@northwind.example"),
        (2, 2, "elio@casaverde.example"),
    ]
    assert "Lyon" in events[0]["body"]
    assert "why" in events[1]


async def test_two_screenings_of_the_model_take_two_paths(model):
    service = model({"decision": "skip", "bridge": "", "why": "no"})
    found = await spread()
    assert (len(found["letters"]), len(found["skipped"])) == (0, 2)
    assert len(service.asked) == 2
    model({"decision": "write", "bridge": "b", "why": "w"}, LETTER)
    found = await spread(recipients=TOPIC["recipients"][:1])
    assert [letter["subject"] for letter in found["letters"]] == ["Relay"]


async def test_recipient_the_model_fails_on_is_named_and_the_job_goes_on(model):
    model("nonsense")
    found = await spread()
    assert (found["partial"], len(found["skipped"]), found["letters"]) == (True, 2, [])
    assert "no usable answer" in found["skipped"][0]["why"]


async def test_hundreds_of_recipients_fit_in_one_run():
    people = [{"name": f"P {n}", "role": "Head of Warehouse"} for n in range(300)]
    found = await spread(recipients=people)
    assert len(found["letters"]) == 300
