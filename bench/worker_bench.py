"""Workers side by side in one run: bare `ainvoke`, our worker, `langgraph dev`, aegra; CPU a request, start, memory.

    .venv/bin/python -m bench.worker_bench [--seconds 0.5] [--rounds 16] [--clients 16] [--peers]

CPU is user and system time of the server process, in µs a request. The machine's speed drifts by more than what is
looked for, within seconds: so each server's turn is short and comes right after one of bare `ainvoke` with as many at
once, and what is shown as × bare is the median over the rounds of these pairs' ratios, not a ratio of medians.
On threads, resumable, against one PostgreSQL (`DATABASE_URL`, else the embedded one): our worker, and aegra, which
needs the extension `uuid-ossp` there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg

from bench.load import (
    ROOT,
    children,
    cpu_seconds,
    drive,
    free_port,
    post,
    process,
    rss_mb,
    untraced,
    wait_ready,
)
from fleet.worker.setup import set_up
from platform_site import pg

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "bench"
GRAPH = "probe_email"
DATABASE = "worker_bench"
RUN = json.dumps({"assistant_id": GRAPH, "input": {"x": 1}}).encode()

BARE = """
import asyncio, sys, time
from fleet.graphs.email.probe_email import build_graph
graph = build_graph()
async def clients(count, seconds):
    runs, until = 0, time.perf_counter() + seconds
    async def client():
        nonlocal runs
        while time.perf_counter() < until:
            await graph.ainvoke({"x": 1})
            runs += 1
    await asyncio.gather(*(client() for _ in range(count)))
    return runs
for line in sys.stdin:
    count, seconds = line.split()
    cpu = time.process_time()
    runs = asyncio.run(clients(int(count), float(seconds)))
    print((time.process_time() - cpu) / runs * 1e6, flush=True)
"""
IMPORT = "import time; t = time.perf_counter(); import langgraph.graph; print(time.perf_counter() - t, time.process_time())"


@dataclass(frozen=True)
class Server:
    """A server under measurement; its runs are measured stateless, or on `threads`."""

    name: str
    port: int
    pids: list[int]
    threads: bool = False
    clients: tuple[int, ...] = ()


@dataclass
class Seen:
    """What the rounds saw of one kind of call."""

    cpu_us: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    bad: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one turn")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--peers", action="store_true", help="measure aegra too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    print(f"load average {os.getloadavg()[0]:.1f}")
    show_starts(options.starts)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        many = options.clients
        servers = [
            Server("worker", *stack.enter_context(worker()), clients=(1, many)),
            Server("langgraph dev", *stack.enter_context(dev(folder)), clients=(1, many, 4 * many)),
        ]
        url = stack.enter_context(database(set_up_workers=True))
        servers.append(Server("worker", *stack.enter_context(worker(url)), threads=True, clients=(many,)))
        if options.peers or os.environ.get("PEERS"):
            try:
                peer = stack.enter_context(aegra(folder))
                servers.append(Server("aegra", *peer, threads=True, clients=(many,)))
            except (subprocess.CalledProcessError, psycopg.Error, SystemExit) as error:
                print(f"skipped: aegra could not be made ready: {error}")
        else:
            print("skipped: aegra, which --peers (make bench PEERS=1) installs and measures")
        measure(stack.enter_context(bare()), servers, options)


# -- start ----------------------------------------------------------------------------------------------------


def show_starts(count: int) -> None:
    """The worker's start to ready beside the import it cannot do without."""
    imports: list[list[float]] = []
    starts: list[list[float]] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        for _ in range(count + 1):
            command = [sys.executable, "-c", IMPORT]
            printed = subprocess.run(
                command, cwd=ROOT, env=untraced(), capture_output=True, check=True, text=True
            )
            imports.append([float(one) for one in printed.stdout.split()])
            for name, front in (("worker", worker()), ("langgraph dev", dev(Path(folder)))):
                began = time.perf_counter()
                with front as (_, pids):
                    took = [time.perf_counter() - began, cpu_seconds(pids), rss_mb(pids) / 1.048576]
                if name == "worker":
                    starts.append(took)
                else:
                    peer = took
    # The first of each warms the disk's cache.
    ratio = [
        [a / b for a, b in zip(start, base, strict=False)]
        for start, base in zip(starts, imports, strict=True)
    ]
    wall, cpu = (statistics.median(column) for column in zip(*imports[1:], strict=True))
    print(f"import langgraph.graph: {wall:.2f} s, {cpu:.2f} s CPU")
    wall, cpu, idle = (statistics.median(column) for column in zip(*starts[1:], strict=True))
    times, cpu_times = (statistics.median(column) for column in zip(*ratio[1:], strict=True))
    print(
        f"worker: ready {wall:.2f} s ({times:.2f}x the import), {cpu:.2f} s CPU ({cpu_times:.2f}x), idle {idle:.0f} MiB"
    )
    print(f"langgraph dev: ready {peer[0]:.2f} s, {peer[1]:.2f} s CPU, idle {peer[2]:.0f} MiB")


# -- the servers ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def bare() -> Iterator[subprocess.Popen[str]]:
    """A process that runs the graph by itself; asked a line at a time."""
    command = [sys.executable, "-c", BARE]
    child = subprocess.Popen(
        command, cwd=ROOT, env=untraced(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        yield child
        child.communicate()


@contextlib.contextmanager
def worker(database_url: str = "") -> Iterator[tuple[int, list[int]]]:
    env = {**untraced(), "EMAIL_WORKER_SECRET": SECRET, "DATABASE_URL": database_url}
    port = free_port()
    command = (sys.executable, "-m", "fleet.worker", "--pool", "EMAIL", "--port", str(port))
    with process(*command, env=env, quiet=True) as pid:
        wait_ready(port, seconds=60)
        yield port, [pid]


@contextlib.contextmanager
def dev(folder: Path) -> Iterator[tuple[int, list[int]]]:
    config = {"dependencies": [str(ROOT)], "graphs": {GRAPH: "fleet.graphs.email.probe_email:graph"}}
    (folder / "langgraph.json").write_text(json.dumps(config))
    env = {**untraced(), "PYTHONPATH": str(ROOT), "LANGGRAPH_DISABLE_FILE_PERSISTENCE": "true"}
    env["LANGGRAPH_CLI_NO_ANALYTICS"] = "1"
    port = free_port()
    command = (
        str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload", "--config",
        str(folder / "langgraph.json"), "--port", str(port),
    )  # fmt: skip
    with process(*command, env=env, quiet=True, cwd=folder) as pid:
        wait_ready(port, seconds=60)
        yield port, [pid, *children(pid)]


@contextlib.contextmanager
def aegra(folder: Path) -> Iterator[tuple[int, list[int]]]:
    """Aegra, from a virtual environment of its own that is made once, on a database of its own."""
    binaries = aegra_peer()
    (folder / "bench_graph.py").write_text(
        "from fleet.graphs.email.probe_email import build_graph\ngraph = build_graph()\n"
    )
    config = folder / "aegra.json"
    config.write_text(json.dumps({"dependencies": ["."], "graphs": {GRAPH: "./bench_graph.py:graph"}}))
    with database("_aegra") as url:
        psycopg.connect(url, autocommit=True).execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
        env = {**untraced(), "PYTHONPATH": str(ROOT), "AEGRA_CONFIG": str(config), "LOG_LEVEL": "ERROR"}
        env["DATABASE_URL"] = url.replace("%2F", "/")  # its migrations take no escapes
        port = free_port()
        command = (
            str(binaries / "uvicorn"), "aegra_api.main:app", "--host", "127.0.0.1", "--port", str(port),
            "--no-access-log", "--log-level", "warning",
        )  # fmt: skip
        with process(*command, env=env, quiet=True, cwd=folder) as pid:
            wait_ready(port, "/health", 60)
            yield port, [pid]


def aegra_peer() -> Path:
    """Aegra's `bin`; raises CalledProcessError when it cannot be installed."""
    home = ROOT / ".data" / "aegra"
    if not (home / "bin" / "alembic").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "aegra-api", "greenlet"]
        subprocess.run(install, check=True)
    return home / "bin"


@contextlib.contextmanager
def database(suffix: str = "", *, set_up_workers: bool = False) -> Iterator[str]:
    """The address of a database of its own; dropped at the end."""
    server = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    name = DATABASE + suffix
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    try:
        if set_up_workers:
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "-v", "0"],
                cwd=ROOT, check=True, env={**os.environ, "DATABASE_URL": url},
            )  # fmt: skip
            asyncio.run(set_up(url, ["EMAIL"]))
        yield url
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


# -- measuring ------------------------------------------------------------------------------------------------


def measure(child: subprocess.Popen[str], servers: list[Server], options: argparse.Namespace) -> None:
    """Every server in turn, each after bare, round by round; prints the medians."""
    seen: dict[str, Seen] = {}
    for server in servers:
        asyncio.run(drive(server.port, _requests(server, options.clients), 1.0))
    for _ in range(options.rounds):
        for server in servers:
            for count in server.clients:
                at_once = min(count, options.clients)
                bare_us = _bare(child, at_once, options.seconds)
                bare = seen.setdefault(f"bare ainvoke, {at_once} at once", Seen())
                bare.cpu_us.append(bare_us)
                bare.ratio.append(1.0)
                kind = f"{server.name}{' on threads' if server.threads else ''}, {count} clients"
                _one(seen.setdefault(kind, Seen()), server, count, options.seconds, bare_us)
    print(f"{'':<32}{'CPU µs/req':>11}{'× bare':>8}{'p50 ms':>9}{'req/s':>8}{'bad':>5}")
    for kind, one in seen.items():
        cpu_us, ratio = statistics.median(one.cpu_us), statistics.median(one.ratio)
        rest = ""
        if one.p50_ms:
            rest = (
                f"{statistics.median(one.p50_ms):>9.1f}{statistics.median(one.per_second):>8.0f}{one.bad:>5}"
            )
        print(f"{kind:<32}{cpu_us:>11.0f}{ratio:>8.2f}{rest}")


def _bare(child: subprocess.Popen[str], count: int, seconds: float) -> float:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{count} {seconds}\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def _one(seen: Seen, server: Server, count: int, seconds: float, bare_us: float) -> None:
    requests = _requests(server, count)
    before, began = cpu_seconds(server.pids), time.perf_counter()
    load = asyncio.run(drive(server.port, requests, seconds))
    took = time.perf_counter() - began
    cpu_us = (cpu_seconds(server.pids) - before) / len(load.latencies) * 1e6
    seen.cpu_us.append(cpu_us)
    seen.ratio.append(cpu_us / bare_us)
    seen.p50_ms.append(statistics.median(load.latencies) * 1000)
    seen.per_second.append(len(load.latencies) / took)
    seen.bad += load.bad


def _requests(server: Server, count: int) -> list[bytes]:
    headers = {"x-api-key": SECRET}
    if not server.threads:
        return [post("/runs/wait", RUN, headers)] * count
    threads = [_thread(server.port, headers) for _ in range(count)]
    return [post(f"/threads/{one}/runs/wait", RUN, headers) for one in threads]


def _thread(port: int, headers: dict[str, str]) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/threads", b"{}", {**headers, "content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        made: dict[str, Any] = json.load(answer)
    return str(made["thread_id"])


if __name__ == "__main__":
    main()
