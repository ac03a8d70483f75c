"""Requests of the real SDKs, recorded by `tests/goldens/record.py`: the decoders make of them what they made before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.goldens.replay import decoded

HOME = Path(__file__).parents[1] / "goldens"
BODIES = sorted(HOME.glob("*/*.body"))
#: What each sender's one action is made of, whatever the ids and times.
RUNS = {
    "python": {"chain", "model", "tool"},
    "javascript": {"chain", "model", "tool"},
    "otel-mode": {"chain", "model", "tool"},
    "exporter": {"agent", "chat", "search"},
}


@pytest.mark.parametrize("body", BODIES, ids=[f"{b.parent.name}/{b.stem}" for b in BODIES])
def test_a_recorded_request_is_decoded_as_it_was(body: Path) -> None:
    golden = json.loads(body.with_suffix(".json").read_text())
    assert decoded(golden["content_type"], body.read_bytes()) == golden["runs"]


@pytest.mark.parametrize("sender", RUNS)
def test_all_of_an_action_is_there(sender: str) -> None:
    parts = [
        part
        for body in BODIES
        if body.stem.rpartition("-")[0] == sender
        for part in json.loads(body.with_suffix(".json").read_text())["runs"]
    ]
    assert {part["name"] for part in parts if "name" in part} == RUNS[sender]
    assert len({part["trace_id"] for part in parts}) == 1
    failed = {part["name"] for part in parts if part["status"] == "error"}
    assert len(failed) == 1
    assert sum(part["run_type"] == "llm" and part.get("total_tokens", 0) > 0 for part in parts) >= 1
    ids = {part["run_id"] for part in parts}
    assert {part["parent_id"] for part in parts} <= {*ids, None}
