from __future__ import annotations

import pytest

from contract.shapes import SHAPES
from fleet.graphs.classify.company import build_graph
from fleet.kit.rules import companies

FIT, UNKNOWN, MISFIT = SHAPES["classify_company"]["examples"]


async def classify(payload):
    return await build_graph().ainvoke(payload)


async def test_company_that_meets_the_profile_gets_an_angle():
    found = await classify(FIT)
    assert found["verdict"] == "fit"
    assert "a second warehouse lab opened in Lyon" in found["angle"]
    assert found["reasons"] == [
        "industry is logistics technology",
        "140 people",
        "mentions platform, API and automation",
    ]
    assert "questions" not in found


async def test_company_nothing_is_known_of_gets_questions():
    found = await classify(UNKNOWN)
    assert found["verdict"] == "needs_evidence"
    assert found["questions"][0] == "What does Mystery Ltd do, in its own words?"
    assert "angle" not in found


async def test_company_outside_the_profile_is_dropped_with_the_reason():
    found = await classify(MISFIT)
    assert found["verdict"] == "not_fit"
    assert found["next_step"] == "drop it: industry is restaurants, not software or SaaS"


@pytest.mark.parametrize(
    ("verdict", "follow_up", "has"),
    [
        ("fit", {"angle": "their new lab", "next_step": "write"}, "angle"),
        ("needs_evidence", {"questions": ["How many people?"]}, "questions"),
        ("not_fit", None, None),
    ],
)
async def test_each_verdict_of_the_model_takes_its_own_path(model, verdict, follow_up, has):
    answers = [
        {"verdict": verdict, "confidence": 0.7, "reasons": ["so"]},
        *([follow_up] if follow_up else []),
    ]
    service = model(*answers)
    found = await classify(FIT)
    assert len(service.asked) == len(answers)
    assert {key for key in ("angle", "questions") if key in found} == ({has} if has else set())


def test_excluded_word_decides_alone():
    company = {
        "name": "X",
        "description": "Online casino software platform",
        "employees": 100,
        "industry": "software",
    }
    found = companies.judge(
        {"company": company, "profile": {"industries": ["software"], "excluded": ["casino"]}}
    )
    assert (found["verdict"], found["reasons"]) == ("not_fit", ["excluded by the profile: casino"])


@pytest.mark.parametrize(
    ("given", "met"), [(50, True), ("50-100", True), ("1,200 people", False), (10, False), ("many", None)]
)
def test_head_counts(given, met):
    profile = {"min_employees": 20, "max_employees": 1000, "industries": ["software"]}
    found = companies.judge(
        {"company": {"name": "X", "employees": given, "industry": "software"}, "profile": profile}
    )
    expected = {True: "fit", False: "needs_evidence", None: "needs_evidence"}[met]
    assert found["verdict"] == expected
