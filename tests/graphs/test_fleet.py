"""What holds for every registered graph."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module

import jsonschema
import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.kit import hunt, study

HEAVY = ("langgraph", "langchain_core", "langsmith", "httpx", "pydantic", "jsonschema", "openai", "html_to_markdown", "email_validator", "publicsuffixlist", "rapidfuzz", "idna")  # fmt: skip
ELSEWHERE = {"lead_gen_team", "lead_pipeline"}  # call the platform; their own tests give them one
OWN = [spec for spec in GRAPHS if not spec.assistant_id.startswith("probe_")]


@pytest.mark.parametrize("spec", OWN, ids=lambda spec: spec.assistant_id)
def test_module_is_cheap_to_import(spec):
    code = f"import sys, {spec.module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", OWN, ids=lambda spec: spec.assistant_id)
def test_description_is_a_paragraph_that_names_what_is_there(spec):
    """Fields, verdicts and keys it names in backticks are the graph's own."""
    sentences = re.split(r"(?<=[.]) (?=[A-Z])", spec.description)
    assert 3 <= len(sentences) <= 12
    assert 250 <= len(spec.description) <= 900
    assert len(sentences[0]) <= 130
    graph = import_module(spec.module).build_graph()
    fields = {*SHAPES[spec.input_shape]["properties"], *graph.get_output_jsonschema()["properties"]}
    rooms = [import_module(spec.module), study, hunt]
    words = set(re.findall(r"\w+", "".join(inspect.getsource(room) for room in rooms)))
    assert set(re.findall(r"`(\w+)`", spec.description)) <= fields | words


@pytest.mark.parametrize("spec", OWN, ids=lambda spec: spec.assistant_id)
def test_declared_shape_and_state_agree(spec):
    shape = SHAPES[spec.input_shape]
    graph = import_module(spec.module).build_graph()
    assert set(graph.get_input_jsonschema()["properties"]) == set(shape["properties"])
    assert graph.get_output_jsonschema()["properties"]
    for example in shape["examples"]:
        jsonschema.validate(example, shape)


@pytest.mark.parametrize(
    "spec", [s for s in OWN if s.assistant_id not in ELSEWHERE], ids=lambda spec: spec.assistant_id
)
async def test_every_example_runs_with_no_key_model_or_network(spec):
    graph = import_module(spec.module).build_graph()
    for example in SHAPES[spec.input_shape]["examples"]:
        output = await graph.ainvoke(example)
        assert output
        assert output.get("model") == "offline-rules" or output["partial"]
