"""A model that answers nonsense twice: an error of kind `backend`, or a partial result that holds nothing of its making."""

from __future__ import annotations

from importlib import import_module

import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.sdk import LangGraphError
from tests.graphs import github_wire, web_wire

#: A job over many goes on without those that the model failed on.
JOBS = {"topic_outreach", "classify_recruitment_bulk", "competitors_team"}
#: Calls graphs and asks no model of its own.
SILENT = {"lead_pipeline"}
ASKING = [
    spec for spec in GRAPHS if spec.assistant_id not in SILENT and not spec.assistant_id.startswith("probe_")
]


@pytest.fixture
def sources(loopback, monkeypatch):
    """GitHub and Ashby answer, so that what they say reaches the model."""

    def answer(asked):
        if asked.path.startswith("/posting-api"):
            return 200, {}, web_wire.board(web_wire.job("Data Engineer"))
        if asked.path.endswith("/contents/"):
            return 200, github_wire.RATE, [{"name": "Dockerfile", "type": "file"}]
        return github_wire.answer(asked)

    service = loopback(answer)
    for name in ("GITHUB_API_URL", "ASHBY_API_URL"):
        monkeypatch.setenv(name, service.base_url)


@pytest.mark.parametrize("spec", ASKING, ids=lambda spec: spec.assistant_id)
async def test_nonsense_is_never_a_result(spec, model, sources):
    service = model("nonsense")
    example = {**SHAPES[spec.input_shape]["examples"][0]}
    if "org" in example:
        example["org"] = "northwind"
    graph = import_module(spec.module).build_graph()
    if spec.assistant_id in JOBS:
        found = await graph.ainvoke(example)
        assert found["partial"] is True
    else:
        with pytest.raises(LangGraphError, match="no usable answer") as caught:
            await graph.ainvoke(example)
        assert caught.value.kind == "backend"
    assert len(service.asked) >= 2
