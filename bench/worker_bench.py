"""Workers side by side in one run: bare `ainvoke`, our worker, `langgraph dev`; CPU a request, start, memory.

`python bench/worker_bench.py [--seconds 5] [--clients 16] [--database URL]` from the root of a checkout. CPU is user and
system time of the server process, in µs a request; the load generator shares the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
SECRET = "bench"
GRAPH = "probe_email"
TICKS = os.sysconf("SC_CLK_TCK")

BARE = """
import asyncio, json, time
from fleet.graphs.email.probe_email import build_graph
async def main(seconds):
    graph = build_graph()
    await graph.ainvoke({"x": 1})
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        await graph.ainvoke({"x": 1})
        count += 1
    print(json.dumps({"rps": count / (time.perf_counter() - began), "cpu_us": (time.process_time() - cpu) / count * 1e6}))
asyncio.run(main(SECONDS))
"""
IMPORT = "import time; t = time.perf_counter(); import langgraph.graph; print(time.perf_counter() - t)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument(
        "--database", default="", help="libpq URL, set up for the workers: adds runs on threads"
    )
    options = parser.parse_args()
    bare = json.loads(_python(BARE.replace("SECONDS", str(options.seconds))))
    print(f"import langgraph.graph: {float(_python(IMPORT)):.2f} s")
    print(f"bare ainvoke: {bare['rps']:.0f} /s, {bare['cpu_us']:.0f} µs CPU")
    with tempfile.TemporaryDirectory() as folder:
        for name, command, env in _servers(Path(folder), options.database):
            _measure(name, command, env, options, bare["cpu_us"])


def _servers(folder: Path, database: str) -> list[tuple[str, list[str], dict[str, str]]]:
    graphs = {GRAPH: "fleet.graphs.email.probe_email:graph"}
    config = {"dependencies": [str(ROOT)], "graphs": graphs}
    (folder / "langgraph.json").write_text(json.dumps(config))
    dev = [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload"]
    dev += ["--config", str(folder / "langgraph.json"), "--n-jobs-per-worker", "16"]
    worker = [sys.executable, "-m", "fleet.worker", "--pool", "EMAIL"]
    return [
        ("worker", worker, {"EMAIL_WORKER_SECRET": SECRET, "DATABASE_URL": database}),
        ("langgraph dev", dev, {"LANGGRAPH_DISABLE_FILE_PERSISTENCE": "true"}),
    ]


def _measure(
    name: str, command: list[str], env: dict[str, str], options: argparse.Namespace, bare_us: float
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LANGSMITH", "OTEL"))}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=ROOT,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}")
            time.sleep(0.02)
        ready = time.perf_counter() - began
        print(f"{name}: ready {ready:.2f} s, idle {_resident(process.pid):.0f} MiB")
        for clients in (1, options.clients):
            _report(
                name,
                asyncio.run(_load(url, process.pid, clients, options.seconds, threads=False)),
                clients,
                bare_us,
            )
        if name == "worker" and options.database:
            found = asyncio.run(_load(url, process.pid, options.clients, options.seconds, threads=True))
            _report("worker, on threads", found, options.clients, bare_us)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _report(name: str, found: dict[str, float], clients: int, bare_us: float) -> None:
    print(
        f"{name}, {clients} clients: {found['rps']:.0f} /s, p50 {found['p50_ms']:.1f} ms, {found['cpu_us']:.0f} µs CPU"
        f" ({found['cpu_us'] / bare_us:.2f}x bare)"
    )


async def _load(url: str, pid: int, clients: int, seconds: float, *, threads: bool) -> dict[str, float]:
    times: list[float] = []
    headers = {"x-api-key": SECRET, "content-type": "application/json"}
    body = json.dumps({"assistant_id": GRAPH, "input": {"x": 1}}).encode()

    async def client(http: httpx.AsyncClient, until: float) -> None:
        path = "/runs/wait"
        if threads:
            path = f"/threads/{(await http.post('/threads', json={})).json()['thread_id']}/runs/wait"
        while (began := time.perf_counter()) < until:
            answer = await http.post(path, content=body)
            if b'"x":' not in answer.content:
                raise RuntimeError(answer.text)
            times.append(time.perf_counter() - began)

    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=30, limits=httpx.Limits(max_connections=None)
    ) as http:
        await client(http, time.perf_counter() + 0.5)
        times.clear()
        cpu, began = _cpu(pid), time.perf_counter()
        await asyncio.gather(*(client(http, began + seconds) for _ in range(clients)))
    elapsed = time.perf_counter() - began
    times.sort()
    return {
        "rps": len(times) / elapsed,
        "p50_ms": times[len(times) // 2] * 1000,
        "cpu_us": (_cpu(pid) - cpu) / len(times) * 1e6,
    }


def _python(code: str) -> Any:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LANGSMITH", "OTEL"))}
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/ok", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> float:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
