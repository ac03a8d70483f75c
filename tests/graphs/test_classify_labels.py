"""classify_recruitment, its bulk form, classify_paper and score_contact."""

from __future__ import annotations

import asyncio
import time

from contract.shapes import SHAPES
from fleet.graphs.classify import contact, paper, recruitment, recruitment_bulk

RECRUITER = SHAPES["classify_recruitment"]["examples"][0]
PAPER = SHAPES["classify_paper"]["examples"][0]
CONTACT = SHAPES["score_contact"]["examples"][0]


async def label(**changes):
    return await recruitment.build_graph().ainvoke({**RECRUITER, **changes})


async def label_all(rows, **changes):
    return await recruitment_bulk.build_graph().ainvoke({"rows": rows, **changes})


async def read(**changes):
    return await paper.build_graph().ainvoke({**PAPER, **changes})


async def score(**changes):
    return await contact.build_graph().ainvoke({**CONTACT, **changes})


async def test_recruiter_is_labelled_on_a_quote_with_sectors_and_roles():
    found = await label()
    assert (found["label"], found["sectors"][-1]) == ("agency", "logistics")
    assert found["evidence"] in RECRUITER["text"]


async def test_two_labels_of_the_model_take_two_paths(model):
    quote = {"confidence": 0.9, "evidence": "finds software engineers"}
    service = model({"label": "agency", **quote}, {"sectors": ["fintech", "space"], "roles": []})
    assert (await label())["sectors"] == ["fintech"]
    assert len(service.asked) == 2
    service = model({"label": "employer", **quote})
    assert "sectors" not in await label()
    assert len(service.asked) == 1


async def test_quote_that_does_not_stand_in_the_text_proves_nothing(model):
    model({"label": "agency", "confidence": 0.9, "evidence": "we are headhunters"})
    found = await label()
    assert (found["label"], found["confidence"], found["evidence"]) == ("unproven", 0.0, "")


async def test_thousand_rows_leave_the_loop_to_others():
    rows = [{"id": f"r{n}", "text": f"Executive search for banks, office {n}."} for n in range(1_000)]
    turns = 0

    async def neighbour():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(neighbour())
    found = await label_all(rows)
    task.cancel()
    assert found["counts"] == {"agency": 1_000}
    assert [found["results"][n]["id"] for n in (0, 999)] == ["r0", "r999"]
    assert turns > 1_000, "others had a turn with each row"


async def test_never_more_rows_at_once_than_asked_for(loopback, monkeypatch, model):
    running, most = 0, 0
    service = model({"label": "none", "confidence": 1, "evidence": ""})
    plain = service.answer

    def slow(asked):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return plain(asked)

    service.answer = slow
    await label_all([{"text": str(n)} for n in range(12)], at_once=3)
    assert most <= 3
    assert len(service.asked) == 12


async def test_row_the_model_fails_on_is_one_failed_row(model):
    good = {"label": "none", "confidence": 1, "evidence": ""}
    model(good, "nonsense", "nonsense", good)
    found = await label_all([{"text": "a"}, {"text": "b"}, {"text": "c"}], at_once=1)
    assert [result["label"] for result in found["results"]] == ["none", "failed", "none"]
    assert (found["partial"], found["missing"]) == (True, ["1 rows the model gave no label for"])


async def test_model_that_is_down_is_not_asked_for_every_row(model):
    service = model("nonsense")
    found = await label_all([{"text": str(n)} for n in range(200)])
    assert len(found["results"]) == recruitment_bulk.BATCH
    assert found["missing"][1] == "160 rows not tried, because the model failed on all before"
    assert len(service.asked) == 2 * recruitment_bulk.BATCH


async def test_paper_that_can_be_used_says_by_whom():
    found = await read()
    assert (found["label"], found["available"]) == ("method", "yes")
    assert "use" not in await read(title="A survey of agents", abstract="We review 140 papers.")


async def test_two_labels_of_a_paper_take_two_paths(model):
    quote = {"confidence": 0.9, "evidence": "Sparse routing"}
    service = model({"label": "system", **quote}, {"use": "by a team", "available": "no"})
    assert (await read())["use"] == "by a team"
    service = model({"label": "survey", **quote})
    assert "use" not in await read()
    assert len(service.asked) == 1
    model({"label": "system", "confidence": 0.9, "evidence": "a quote of its own"})
    assert (await read())["label"] == "unproven"


async def test_score_rests_on_part_relevance_and_reach():
    assert (await score())["score"] == 88
    assert (await score(contact={"name": "M", "role": "Head of Operations"}))["score"] == 68
    assert (await score(contact={"name": "M", "role": "Former CEO", "email": "m@x.example"}))["score"] == 0


async def test_two_parts_of_the_model_take_two_paths(model):
    rated = {"confidence": 0.9, "relevance": 1, "reachability": 1, "reason": "so"}
    model({"label": "decision_maker", **rated}, {"talk_about": "cost"})
    found = await score()
    assert (found["talk_about"], found["score"]) == ("cost", 100)
    model({"label": "gatekeeper", **rated}, {"ask_for": "Who decides?"})
    found = await score(contact={"name": "M", "role": "x"})
    assert (found["ask_for"], found["score"]) == ("Who decides?", 39)
