"""The offline rules are as good as the app says, on examples enough to say it."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from registry_app.evaluations import RECORD
from tests.evals.runner import ANSWERS, evaluate, load, record

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("graph", sorted(ANSWERS))
async def test_recorded_accuracy_is_what_the_offline_rules_reach(graph):
    report = await evaluate(graph)
    assert report.model == "offline-rules"
    assert RECORDED[graph]["offline-rules"] == {
        "right": report.right,
        "total": report.total,
        "by_split": report.by_split,
    }


@pytest.mark.parametrize("graph", sorted(ANSWERS))
def test_examples_are_many_and_different(graph):
    examples = load(graph)
    assert len(examples) >= 60
    assert len({example["id"] for example in examples}) == len(examples)
    assert max(Counter(json.dumps(example["input"]) for example in examples).values()) == 1
    assert {example["split"] for example in examples} <= {"tuned", "held_out"}


async def test_another_model_is_recorded_beside_the_rules(model, tmp_path):
    service = model({"label": "survey", "confidence": 0.9, "evidence": "a quote of its own"})
    report = await evaluate("classify_paper", most=3)
    assert (report.model, len(service.asked)) == ("openai:small-1", 3)
    path = tmp_path / "evaluations.json"
    path.write_text(json.dumps({"classify_paper": {"offline-rules": {}}}))
    record(report, path)
    found = json.loads(path.read_text())["classify_paper"]
    assert set(found) == {"offline-rules", "openai:small-1"}
    assert found["openai:small-1"]["total"] == 3
