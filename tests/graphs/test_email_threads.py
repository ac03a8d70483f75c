"""email_followup and email_reply."""

from __future__ import annotations

import pytest

from contract.shapes import SHAPES
from fleet.graphs.email import followup, reply
from fleet.kit.rules import letters

FOLLOWUP = SHAPES["email_followup"]["examples"][0]
REPLY = SHAPES["email_reply"]["examples"][0]
LETTER = {"subject": "Re: Relay", "body": "Hi Maya,\n\nfirst?\n\nSam"}
GOOD = {"verdict": "good", "score": 1, "issues": []}


async def follow(**changes):
    return await followup.build_graph().ainvoke({**FOLLOWUP, **changes})


async def answer(body, **changes):
    message = {"subject": "Re: Relay for Northwind Robotics", "body": body}
    return await reply.build_graph().ainvoke({**REPLY, "message": message, **changes})


async def test_follow_up_stays_in_the_thread_and_says_something_new():
    letter = await follow()
    assert letter["subject"] == "Re: Relay for Northwind Robotics"
    assert "left out one thing about Northwind Robotics: four backend roles are open." in letter["body"]
    assert "second warehouse lab" not in letter["body"]


async def test_last_follow_up_says_so():
    letter = await follow(last_one=True)
    assert "my last note" in letter["body"]
    assert letter["critique"]["issues"] == []


async def test_follow_up_subject_gets_one_re_only():
    letter = await follow(previous=[{"subject": "RE: Re: AW: Relay", "body": "x"}])
    assert letter["subject"] == "Re: Relay"


async def test_follow_up_takes_the_path_the_critique_says(model):
    service = model(LETTER, GOOD)
    assert (await follow())["refined"] is False
    assert len(service.asked) == 2
    service = model(LETTER, {**GOOD, "verdict": "revise"}, {**LETTER, "body": "second?"})
    assert (await follow())["body"] == "second?"
    assert len(service.asked) == 3


async def test_question_is_answered_from_the_given_answers_alone():
    letter = await answer("What does it cost for a team of twelve?")
    assert (letter["handling"], letter["critique"]["issues"]) == ("letter", [])
    assert "Relay costs 40 euros a month" in letter["body"]
    unknown = await answer("What does it cost?", answers=[])
    assert "I will check with my colleagues" in unknown["body"]
    assert letters.critique({**REPLY, "draft": unknown})["issues"] == []


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        ("Not now, come back in Q3.", "Shall I write again in Q3?"),
        ("Not now, maybe next year.", "Shall I write again next year?"),
        ("Not now.", "When would be a better time?"),
    ],
)
async def test_later_is_asked_about_as_they_said_it_and_in_their_thread(body, asks):
    letter = await answer(body)
    assert asks in letter["body"]
    assert (letter["subject"], letter["refined"]) == ("Re: Relay for Northwind Robotics", False)


async def test_a_short_thread_keeps_its_subject():
    message = {"subject": "Re: a call", "body": "Please talk to my colleague Tomas Vik instead."}
    letter = await reply.build_graph().ainvoke({**REPLY, "message": message})
    assert letter["subject"] == "Re: a call"
    assert "May I say that you sent me?" in letter["body"]


@pytest.mark.parametrize(
    ("body", "handling"),
    [
        ("Please remove me from your list.", "silence"),
        ("Not interested, thanks.", "silence"),
        ("Our lawyer will look at the contract first.", "person"),
        ("Let's talk next week.", "letter"),
        ("Not now, come back in Q3.", "letter"),
    ],
)
async def test_what_an_answer_needs(body, handling):
    found = await answer(body)
    assert found["handling"] == handling
    assert ("body" in found) is (handling == "letter")


async def test_two_readings_of_the_model_take_two_paths(model):
    service = model({"handling": "silence", "intent": "no", "reason": "said no"})
    assert "body" not in await answer("x")
    assert len(service.asked) == 1
    service = model({"handling": "letter", "intent": "question", "reason": "asks"}, LETTER, GOOD)
    assert (await answer("x"))["body"] == LETTER["body"]
    assert len(service.asked) == 3
