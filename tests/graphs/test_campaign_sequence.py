from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from contract.shapes import SHAPES
from fleet.graphs.email.sequence import build_graph

EXAMPLE = SHAPES["campaign_sequence"]["examples"][0]
TIMER: Command[str] = Command(resume={"event": "timer"})


def reply(body):
    return Command(resume={"event": "reply", "message": {"subject": "Re: Relay", "body": body}})


@pytest.fixture
def enrollment():
    """Send an input or a resume to one thread."""
    graph = build_graph(InMemorySaver())

    async def step(given):
        return await graph.ainvoke(given, {"configurable": {"thread_id": "enrollment-1"}})

    return step


def sleeping(state):
    return [interrupt.value["days"] for interrupt in state.get("__interrupt__", [])]


async def test_silence_leads_to_the_last_mail_and_the_end(enrollment):
    waits = [sleeping(await enrollment(EXAMPLE))]
    waits += [sleeping(await enrollment(TIMER)) for _ in range(2)]
    last = await enrollment(TIMER)
    assert waits == [[3], [7], [7]]
    assert (last["outcome"], last["reason"]) == ("finished", "3 mails sent, no further answer")
    assert [mail["kind"] for mail in last["mails"]] == ["first", "followup", "followup"]
    assert "my last note" in last["mails"][2]["body"]
    assert len({mail["body"] for mail in last["mails"]}) == 3


async def test_question_is_answered_and_silence_after_that_ends_it(enrollment):
    await enrollment({**EXAMPLE, "answers": ["Relay costs 40 euros a month."]})
    answered = await enrollment(reply("What does it cost?"))
    assert "40 euros" in answered["mails"][1]["body"]
    assert sleeping(answered) == [3]
    assert (await enrollment(TIMER))["outcome"] == "finished"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [("Please remove me from your list.", "stopped"), ("Our lawyer has a question.", "handed_over")],
)
async def test_answers_that_end_it(enrollment, body, outcome):
    await enrollment(EXAMPLE)
    ended = await enrollment(reply(body))
    assert (ended["outcome"], len(ended["mails"]), sleeping(ended)) == (outcome, 1, [])


async def test_two_readings_of_the_model_take_two_paths(enrollment, model):
    letter, good = (
        {"subject": "Relay", "body": "Shall we talk?"},
        {"verdict": "good", "score": 1, "issues": []},
    )
    model(letter, good, {"handling": "letter", "intent": "question", "reason": "asks"}, letter, good)
    await enrollment(EXAMPLE)
    assert len((await enrollment(reply("x")))["mails"]) == 2
    model({"handling": "silence", "intent": "no", "reason": "said no"})
    assert (await enrollment(reply("y")))["outcome"] == "stopped"


@pytest.mark.parametrize(
    "heard", [{"event": "weather"}, {"event": "reply"}, {"event": "reply", "message": 1}, "timer"]
)
async def test_resume_that_is_neither_is_told_so_and_the_sleep_goes_on(enrollment, heard):
    await enrollment(EXAMPLE)
    for _again in range(2):
        (still,) = (await enrollment(Command(resume=heard)))["__interrupt__"]
        assert still.value["problem"].startswith("resume with")
    assert len((await enrollment(TIMER))["mails"]) == 2


async def test_one_mail_alone_when_no_waits_are_wanted(enrollment):
    assert sleeping(await enrollment({**EXAMPLE, "waits": []})) == [14]
    assert (await enrollment(TIMER))["outcome"] == "finished"
