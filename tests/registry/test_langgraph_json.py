"""The generated fleet/langgraph.json: for all graphs or one pool, and taken as it is by a real `langgraph dev`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from langgraph_sdk import get_sync_client

from contract.graph_spec import GraphSpec
from contract.registry import GRAPHS
from registry_app.langgraph_json import render
from tests.worker.conftest import ROOT, clean_env, free_port, start

POOLS = sorted({spec.pool for spec in GRAPHS})


@pytest.mark.parametrize("pool", [*POOLS, "email"])
def test_one_pool_goes_to_standard_output_and_names_its_graphs_alone(
    pool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("gen_langgraph_json", pool=pool)
    graphs = json.loads(capsys.readouterr().out)["graphs"]
    assert set(graphs) == {spec.assistant_id for spec in GRAPHS if spec.pool == pool.upper()}


def test_a_pool_without_graphs_is_refused() -> None:
    with pytest.raises(CommandError, match="no graph has the home pool NOWHERE"):
        call_command("gen_langgraph_json", pool="nowhere")


def test_check_fails_on_a_stale_or_absent_file_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "langgraph.json"
    with pytest.raises(CommandError, match="stale"):
        call_command("gen_langgraph_json", check=True, output=path)
    assert not path.exists()
    call_command("gen_langgraph_json", output=path)
    call_command("gen_langgraph_json", check=True, output=path)
    path.write_text(path.read_text() + " ")
    with pytest.raises(CommandError, match="stale"):
        call_command("gen_langgraph_json", check=True, output=path)


def test_it_imports_no_graph() -> None:
    code = (
        "import sys, django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('gen_langgraph_json', check=True)\n"
        "print(*[name for name in sys.modules if name.startswith(('fleet.graphs', 'langgraph'))])"
    )
    env = clean_env(DJANGO_SETTINGS_MODULE="platform_site.settings", DATABASE_URL="postgresql:///none")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_work_grows_with_the_number_of_graphs_alone() -> None:
    def cost(count: int) -> float:
        specs = [
            GraphSpec(f"g{n}", f"m.g{n}", pool="X", input_shape="probe", description="") for n in range(count)
        ]
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            render(specs)
            best = min(best, time.process_time() - start)
        return best

    small, large = cost(60), cost(1_000)
    assert small < 0.1
    assert large / 1_000 < 4 * small / 60


@pytest.mark.processes
def test_a_real_langgraph_server_takes_it_and_runs_a_graph_of_each_pool(tmp_path: Path) -> None:
    port = free_port()
    command = [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload"]
    command += [
        "--config",
        str(ROOT / "fleet" / "langgraph.json"),
        "--port",
        str(port),
        "--n-jobs-per-worker",
        "4",
    ]
    env = clean_env(
        LANGGRAPH_DISABLE_FILE_PERSISTENCE="true", LANGGRAPH_CLI_NO_ANALYTICS="1", LANGSMITH_TRACING="false"
    )
    server = start("langgraph dev", command, env, tmp_path / "log", port)
    try:
        with get_sync_client(url=server.url) as client:
            found = {row["graph_id"] for row in client.assistants.search(limit=100)}
            assert found >= {spec.assistant_id for spec in GRAPHS}
            for pool in POOLS:
                answer = client.runs.wait(None, f"probe_{pool.lower()}", input={"x": 1})
                assert isinstance(answer, dict)
                assert answer["x"] == 2
    finally:
        server.stop()
