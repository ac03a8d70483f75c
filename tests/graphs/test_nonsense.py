"""A model that answers nonsense twice: an error of kind `backend`, or a partial result that holds nothing of its making."""

from __future__ import annotations

from importlib import import_module

import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.sdk import LangGraphError

#: A job over many goes on without those that the model failed on.
JOBS = {"topic_outreach", "classify_recruitment_bulk", "competitors_team"}
#: These call other graphs first; what they do without them is tested with the dispatcher there.
CALLERS = {"lead_pipeline", "lead_gen_team", "linkedin_profile_intake", "admin_chat"}
#: Their first example is answered by the network, before the model is asked.
READERS = {"gh_lead_research", "gh_patterns", "ashby_ingest"}
ASKING = [
    spec
    for spec in GRAPHS
    if spec.assistant_id not in CALLERS | READERS and not spec.assistant_id.startswith("probe_")
]


@pytest.mark.parametrize("spec", ASKING, ids=lambda spec: spec.assistant_id)
async def test_nonsense_is_never_a_result(spec, model):
    service = model("nonsense")
    example = SHAPES[spec.input_shape]["examples"][0]
    graph = import_module(spec.module).build_graph()
    if spec.assistant_id in JOBS:
        found = await graph.ainvoke(example)
        assert found["partial"] is True
    else:
        with pytest.raises(LangGraphError, match="no usable answer") as caught:
            await graph.ainvoke(example)
        assert caught.value.kind == "backend"
    assert len(service.asked) >= 2
