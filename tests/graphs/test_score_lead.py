from __future__ import annotations

import pytest

from contract.shapes import SHAPES
from fleet.graphs.classify.lead import WEIGHTS, build_graph
from fleet.kit.rules import leads

HOT, COLD = SHAPES["score_lead"]["examples"]


async def score(payload=HOT):
    return await build_graph().ainvoke(payload)


async def test_offline_scores_span_the_tiers():
    hot, cold = await score(HOT), await score(COLD)
    warm = await score({"company": HOT["company"], "contact": {"name": "Ada Byron"}})
    assert (hot["tier"], warm["tier"], cold["tier"]) == ("hot", "warm", "cold")
    assert hot["open_with"] == "a second warehouse lab opened in Lyon in May"
    assert warm["gaps"][0].startswith("find who decides")
    assert hot["score"] > warm["score"] > cold["score"]


@pytest.mark.parametrize(
    ("rating", "tier", "calls", "key"),
    [(0.9, "hot", 2, "open_with"), (0.5, "warm", 2, "gaps"), (0.1, "cold", 1, None)],
)
async def test_ratings_of_the_model_choose_the_path(model, rating, tier, calls, key):
    follow_up = {"hot": {"next_step": "call", "open_with": ""}, "warm": {"gaps": ["role"]}, "cold": {}}[tier]
    service = model({**dict.fromkeys(WEIGHTS, rating), "reasons": ["a"]}, follow_up)
    found = await score()
    assert (found["tier"], found["score"], len(service.asked)) == (tier, round(rating * 100), calls)
    assert {name for name in ("open_with", "gaps") if name in found} == ({key} if key else set())


async def test_company_outside_the_profile_is_cold_however_reachable_its_head(model):
    service = model({**dict.fromkeys(WEIGHTS, 1), "fit": 0, "reasons": ["a"]})
    found = await score()
    assert (found["score"], found["tier"], len(service.asked)) == (60, "cold", 1)


def test_weights_are_whole():
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("contact", "authority", "reachability"),
    [
        ({}, 0.0, 0.0),
        ({"role": "Founder & CEO", "email": "ada@x.example"}, 1.0, 1.0),
        ({"role": "Engineering Manager", "email": "info@x.example"}, 0.5, 0.3),
        ({"role": "Student", "email": "nonsense"}, 0.0, 0.0),
        ({"role": "Assistant to the CEO", "email": "jo@x.example"}, 0.0, 1.0),
    ],
)
def test_contact_parts(contact, authority, reachability):
    found = leads.rate({"company": {"name": "X"}, "contact": contact})
    assert (found["authority"], found["reachability"]) == (authority, reachability)
