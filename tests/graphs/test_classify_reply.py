from __future__ import annotations

import pytest

from fleet.graphs.classify.reply import ACTIONS, build_graph
from fleet.kit.rules.reply_phrases import PHRASES
from tests.evals.runner import load

MESSAGE = {
    "subject": "Re: Relay",
    "body": "I am the wrong one, please write to Jana Weber, jana@northwind.example.",
}


async def classify(body="", subject="Re: Relay", **more):
    return await build_graph().ainvoke(
        {"message": {"subject": subject, "body": body, **more}, "received_on": "2026-03-03"}
    )


@pytest.mark.parametrize(
    ("body", "label"),
    [
        ("Where can I get a quote from your system?", "question"),
        ("Sounds good enough for us to have a look, let's talk.", "interested"),
        ("I will report this to our board, they are interested.", "interested"),
        ("Call me back tomorrow, this sounds useful.", "interested"),
        ("I don't think Tuesday works, Wednesday at 3 is fine. Send me an invite.", "interested"),
        ("How does it handle returns?", "question"),
    ],
)
async def test_words_of_a_refusal_or_an_absence_in_another_sense(body, label):
    assert (await classify(body))["label"] == label


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("out of office until 16 March 2026", "2026-03-16"),
        ("on leave, back on September 1st", "2026-09-01"),
        ("Ich bin bis zum 20.03.2026 nicht im Büro", "2026-03-20"),
        ("out of office from 2026-03-01 to 2026-03-09", "2026-03-09"),
        ("on vacation until 4 January", "2027-01-04"),
        ("out of office until 31 February", ""),
        ("out of office, back soon", ""),
        ("out of office since 2 March 2020", ""),
    ],
)
async def test_absence_pauses_until_the_day_it_names(text, day):
    found = await classify(text, subject="Automatic reply: Relay")
    assert (found["label"], found["action"], found["return_on"]) == ("out_of_office", "pause", day)


async def test_referral_keeps_only_what_the_mail_says(model):
    found = await classify(MESSAGE["body"])
    assert found["referred_to"] == {"name": "Jana Weber", "email": "jana@northwind.example"}
    model(
        {"label": "referral", "confidence": 0.9, "reason": "names Jana"},
        {"name": "Jana Weber", "email": "made@up.example"},
    )
    assert (await classify(MESSAGE["body"]))["referred_to"] == {"name": "Jana Weber"}


async def test_two_labels_of_the_model_take_two_paths(model):
    service = model(
        {"label": "out_of_office", "confidence": 1, "reason": "away"}, {"return_on": "2026-02-31"}
    )
    away = await classify("x")
    assert (away["action"], away["return_on"], len(service.asked)) == ("pause", "", 2)
    service = model({"label": "unsubscribe", "confidence": 1, "reason": "stop"})
    left = await classify("x")
    assert (left["action"], "return_on" in left, len(service.asked)) == ("suppress", False, 1)


async def test_quoted_mail_does_not_count():
    body = "Yes, gladly.\n\nOn Mon, 2 Mar 2026 at 09:12, Sam <sam@relay.example> wrote:\n> reply unsubscribe to stop"
    assert (await classify(body))["label"] == "interested"


@pytest.mark.parametrize("body", ["", "\x00\x01", "?" * 30_000, "> only quoted", "(((((" * 5000, "a@" * 9000])
async def test_odd_bodies_are_answered_soon(body):
    found = await classify(body)
    assert found["label"] in ACTIONS


def test_every_label_has_phrases():
    assert set(PHRASES) == set(ACTIONS) == {example["label"] for example in load("classify_reply")}
