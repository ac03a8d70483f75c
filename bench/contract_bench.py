"""The routing contract's cost: import, one decision, langgraph.json for many graphs. One line of JSON.

.venv/bin/python bench/contract_bench.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from contract.graph_spec import GraphSpec  # noqa: E402
from contract.route_for import WorkerRoute, route_for  # noqa: E402
from registry_app.langgraph_json import render  # noqa: E402

IMPORT = """
import sys, time
modules, start = len(sys.modules), time.process_time()
import contract.route_for, contract.registry
print(len(sys.modules) - modules, (time.process_time() - start) * 1000)
"""


def import_cost(repeats: int = 7) -> tuple[int, float]:
    """(modules more than a bare interpreter, least CPU milliseconds)."""
    command = [sys.executable, "-c", IMPORT]
    answers = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(repeats)
    ]
    return int(answers[0][0]), min(float(answer[1]) for answer in answers)


def route_cost(ids: int, calls: int = 50_000) -> float:
    """Least CPU microseconds of a call that the last of ten pools wins."""
    routes = [
        WorkerRoute(
            prefix=f"P{pool}",
            url="http://x",
            secret="s",
            assistants=frozenset(f"g{pool}_{n}" for n in range(ids)),
        )
        for pool in range(10)
    ]
    name, best = f"g9_{ids // 2}", float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(calls):
            route_for(name, routes)
        best = min(best, (time.process_time() - start) / calls * 1e6)
    return best


def render_cost(count: int) -> float:
    """Least CPU milliseconds for langgraph.json of so many graphs."""
    specs = [
        GraphSpec(f"g{n}", f"fleet.graphs.x.g{n}", pool="X", input_shape="probe", description="")
        for n in range(count)
    ]
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        render(specs)
        best = min(best, (time.process_time() - start) * 1000)
    return best


def main() -> None:
    modules, cpu = import_cost()
    few, many = route_cost(10), route_cost(1_000)
    small, large = render_cost(60), render_cost(1_000)
    result = {
        "bench": "contract",
        "import_modules": modules,
        "import_cpu_ms": round(cpu, 2),
        "route_for_us_10_ids": round(few, 3),
        "route_for_us_1000_ids": round(many, 3),
        "route_for_ratio_1000_to_10": round(many / few, 2),
        "langgraph_json_ms_60": round(small, 3),
        "langgraph_json_ms_1000": round(large, 3),
        "langgraph_json_growth_per_spec": round((large / 1_000) / (small / 60), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
