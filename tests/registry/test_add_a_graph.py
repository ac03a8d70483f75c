"""Adding a graph is one row and its module: tried in a copy of the checkout, up to a run in a real worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.worker.conftest import ROOT, clean_env, free_port, start

if TYPE_CHECKING:
    from pathlib import Path

COPIED = (
    "contract", "fleet", "registry_app", "routing_app", "traces_app", "feedback_app", "campaigns_app", "platform_site",
    "templates", "manage.py", "pyproject.toml",
)  # fmt: skip
ROW = """        GraphSpec(
            "greet_lead",
            "fleet.graphs.core.greet_lead",
            pool="CORE",
            input_shape="probe",
            description="Says hello.",
        ),
"""
LAST = "        *(\n"
MODULE = """
from typing import Any, TypedDict

from fleet.kit.serve import served


class State(TypedDict, total=False):
    x: int
    greeting: str


def build_graph(checkpointer: Any = None) -> Any:
    from langgraph.graph import END, START, StateGraph

    builder = StateGraph(State)
    builder.add_node("greet", lambda state: {"greeting": f"hello {state['x']}"})
    builder.add_edge(START, "greet")
    builder.add_edge("greet", END)
    return builder.compile(checkpointer=checkpointer)


graph = served(build_graph)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def manage(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = clean_env(DATABASE_URL=os.environ["DATABASE_URL"]) | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)


def tree(checkout: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(checkout)): path.read_bytes()
        for path in checkout.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.processes
def test_one_row_and_its_module_are_enough(checkout: Path) -> None:
    registry = checkout / "contract/registry.py"
    text = registry.read_text()
    assert text.count(LAST) == 1
    registry.write_text(text.replace(LAST, ROW + LAST))
    stale = manage(checkout, "gen_langgraph_json", "--check")
    assert stale.returncode == 1, stale.stderr
    assert "langgraph.json is stale" in stale.stderr
    (checkout / "fleet/graphs/core/greet_lead.py").write_text(MODULE)
    before = tree(checkout)

    done = manage(checkout, "gen_langgraph_json")
    assert done.returncode == 0, done.stderr
    assert manage(checkout, "gen_langgraph_json", "--check").returncode == 0
    after = tree(checkout)
    assert [name for name in after if after[name] != before.get(name)] == ["fleet/langgraph.json"]
    assert (
        json.loads(after["fleet/langgraph.json"])["graphs"]["greet_lead"]
        == "fleet.graphs.core.greet_lead:graph"
    )

    port = free_port()
    server = start(
        "worker",
        [sys.executable, "-m", "fleet.worker", "--pool", "CORE", "--port", str(port)],
        clean_env(CORE_WORKER_SECRET="s" * 40) | {"PYTHONPATH": str(checkout)},
        checkout / "log",
        port,
        cwd=checkout,
        secret="s" * 40,
    )
    try:
        served = {row["assistant_id"]: row for row in server.http().get("/_ml/graphs").json()["graphs"]}
        assert served["greet_lead"]["ok"], served["greet_lead"]
        answer = server.http().post("/runs/wait", json={"assistant_id": "greet_lead", "input": {"x": 7}})
        assert answer.json()["greeting"] == "hello 7"
    finally:
        server.stop()


def test_a_row_twice_stops_everything_and_names_both(checkout: Path) -> None:
    registry = checkout / "contract/registry.py"
    registry.write_text(registry.read_text().replace(LAST, ROW + ROW.replace("CORE", "EMAIL") + LAST))
    done = manage(checkout, "gen_langgraph_json", "--check")
    assert done.returncode != 0
    assert "duplicate assistant_id 'greet_lead'" in done.stderr
    assert "(pool CORE) and fleet.graphs.core.greet_lead (pool EMAIL)" in done.stderr
