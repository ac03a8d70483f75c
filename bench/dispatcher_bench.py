"""CPU per request and added latency of the dispatcher, beside nginx in the same run, on loopback.

    .venv/bin/python -m bench.dispatcher_bench [--seconds 2] [--rounds 5] [--peers]

Both fronts proxy the same 1 KB `POST /runs/wait` to the same upstream, one process each. The dispatcher does all
it does in service: keys, shape check, route, breaker, trace headers, a dispatch record in PostgreSQL per request.
CPU is the front's own (user + system, from /proc); ratios are what to look at, the machine is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httptools
import psycopg

from bench.load import ROOT, children, cpu_seconds, drive, free_port, post, process, rss_mb, wait_ready
from contract.registry import GRAPHS
from contract.routing_document import canonical_bytes, digest
from contract.shapes import SHAPES
from platform_site import pg
from registry_app.keyring import KeyFacts, KeyRing, hash_key

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "bench-key-0123456789-0123456789-0123456789"
DATABASE = "dispatcher_bench"
SPECS = {spec.assistant_id: spec for spec in GRAPHS}
ANSWER = json.dumps({"x": 2, "pad": "y" * 1000}).encode()
BODY = json.dumps(
    {"assistant_id": "probe_email", "input": {"x": 1}, "metadata": {"pad": "x" * 900}}, separators=(",", ":")
).encode()


# -- the upstream: as little as can answer HTTP ---------------------------------------------------------------


class UpstreamProtocol(asyncio.Protocol):
    """Answers every request with 1 KB of JSON, `/runs/stream` with two events."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_message_complete(self) -> None:
        run = "/threads/11111111-1111-4111-8111-111111111111/runs/22222222-2222-4222-8222-222222222222"
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-location: {run}\r\nlocation: {run}/join\r\nx-agentic-pool: EMAIL\r\n"
        )
        if self.url.endswith(b"stream"):
            events = b"event: metadata\r\ndata: {}\r\n\r\nevent: values\r\ndata: {}\r\n\r\n"
            head += f"content-type: text/event-stream\r\ncontent-length: {len(events)}\r\n\r\n"
            answer = head.encode() + events
        else:
            head += f"content-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n"
            answer = head.encode() + ANSWER
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(answer)


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(UpstreamProtocol, "127.0.0.1", port)
    await server.serve_forever()


# -- the load -------------------------------------------------------------------------------------------------


def requests(connections: int, path: str = "/runs/wait") -> list[bytes]:
    return [post(path, BODY, {"authorization": f"Bearer {KEY}"})] * connections


# -- the fronts -----------------------------------------------------------------------------------------------


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream pool {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 10000000;
    location / {{ proxy_pass http://pool; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[tuple[int, list[int]]]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
    if os.getuid() == 0:
        config.write_text("user root;" + config.read_text())
    with process("nginx", "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")) as pid:
        wait_ready(port)
        yield port, [pid, *children(pid)]


LITELLM = """
general_settings:
  pass_through_endpoints:
    - {{path: /runs/wait, target: "http://127.0.0.1:{upstream}/runs/wait"}}
    - {{path: /runs/stream, target: "http://127.0.0.1:{upstream}/runs/stream"}}
"""


@contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[tuple[int, list[int]]]:
    """LiteLLM's proxy as a pass-through, from a virtual environment of its own that is made once."""
    binaries = peers()
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(LITELLM.format(upstream=upstream))
    env = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    # It passes everything through without keys of its own: the least it can do.
    env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    env.pop("DATABASE_URL", None)
    command = (str(binaries / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    with process(*command, "--telemetry", "False", env=env, quiet=True) as pid:
        wait_ready(port, "/health/liveliness", 150)
        yield port, [pid, *children(pid)]


def peers() -> Path:
    """The peers' `bin`; raises CalledProcessError when they cannot be installed."""
    home = ROOT / ".data" / "peers"
    if not (home / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "litellm[proxy]"]
        subprocess.run(install, check=True)
    return home / "bin"


@contextmanager
def dispatcher(folder: Path, upstream: int, database_url: str) -> Iterator[tuple[int, list[int]]]:
    write_live(folder, {"EMAIL": upstream}, {"probe_email": "EMAIL"})
    with serve_dispatcher(folder, database_url, {"EMAIL_WORKER_SECRET": "s" * 40}) as front:
        yield front


@contextmanager
def serve_dispatcher(
    folder: Path, database_url: str, secrets: dict[str, str]
) -> Iterator[tuple[int, list[int]]]:
    """A dispatcher on what `write_live` wrote; its port and process."""
    port = free_port()
    env = {**os.environ, "DATABASE_URL": database_url, "PLATFORM_DATA_DIR": str(folder), **secrets}
    command = (
        sys.executable, "-m", "uvicorn", "routing_app.dispatcher.main:app", "--host", "127.0.0.1", "--port", str(port),
        "--no-access-log", "--log-level", "warning", "--http", "fleet.kit.door:Door", "--no-proxy-headers",
    )  # fmt: skip
    with process(*command, env=env) as pid:
        wait_ready(port)
        yield port, [pid]


def write_live(folder: Path, pools: dict[str, int], homes: dict[str, str]) -> None:
    """The last good document and keys, as a dispatcher would find them on disk: pool → port, graph → pool."""
    limits = {
        "concurrency": 64,
        "queue": 128,
        "connect_timeout_s": 2,
        "idle_timeout_s": 60,
        "total_timeout_s": 600,
    }

    def route(slug: str) -> dict[str, object]:
        url = f"http://127.0.0.1:{pools.get(slug, next(iter(pools.values())))}"
        assistants = [graph for graph, pool in homes.items() if pool == slug]
        return {
            "prefix": slug, "url": url, "urls": [url], "secret_env": f"{slug}_WORKER_SECRET",
            "assistants": assistants, "limits": limits,
        }  # fmt: skip

    def graph(name: str) -> dict[str, object]:
        return {
            "pool": homes[name], "enabled": True, "reason": "", "resumable": SPECS[name].resumable,
            "input_schema": SHAPES[SPECS[name].input_shape], "graph_digest": "", "sampling": None, "timeout_s": None,
        }  # fmt: skip

    document = {
        "schema": 1, "version": 1, "digest": "", "published_at": "2026-11-22T00:00:00+00:00",
        "routes": [route(pool) for pool in pools if pool != "CORE"], "core": route("CORE"), "graphs": {name: graph(name) for name in homes},
        "sampling": {"default": 1.0},
    }  # fmt: skip
    document["digest"] = digest(document)
    live = folder / "live"
    live.mkdir(parents=True, exist_ok=True)
    (live / "routing.json").write_bytes(canonical_bytes(document))
    (live / "keys.json").write_bytes(KeyRing([bench_key()]).to_json())


def bench_key() -> KeyFacts:
    return KeyFacts(hash_key(KEY), KEY[:8], "bench", frozenset({"*"}))


@contextmanager
def database() -> Iterator[str]:
    """A migrated database of its own, with the bench's key in it; dropped at the end."""
    server = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    url = psycopg.conninfo.make_conninfo(server, dbname=DATABASE)
    as_url = server.replace("/postgres?", f"/{DATABASE}?")
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v", "0"],
        cwd=ROOT,
        check=True,
        env={**os.environ, "DATABASE_URL": as_url},
    )
    key = bench_key()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO registry_app_apikey "
            "(name, prefix, key_hash, scopes, project, trusted_tracing, created_at, created_by) "
            "VALUES (%s, %s, %s, '{*}', '', true, now(), '')",
            (key.name, key.prefix, key.key_hash),
        )
    try:
        yield url
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


# -- measuring ------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    name: str
    cpu_us: float
    per_second: float
    p50_one_us: float
    first_event_us: float
    rss: float
    bad: int


async def measure(name: str, port: int, pids: list[int], seconds: float) -> Figures:
    """One round: 16 connections for `seconds`, then one connection, then one that streams."""
    before, began = cpu_seconds(pids), time.perf_counter()
    many = await drive(port, requests(16), seconds)
    cpu, took = cpu_seconds(pids) - before, time.perf_counter() - began
    one = await drive(port, requests(1), seconds / 2)
    stream = await drive(port, requests(1, "/runs/stream"), seconds / 4)
    return Figures(
        name=name,
        cpu_us=cpu / len(many.latencies) * 1e6,
        per_second=len(many.latencies) / took,
        p50_one_us=statistics.median(one.latencies) * 1e6,
        first_event_us=statistics.median(stream.latencies) * 1e6,
        rss=rss_mb(pids),
        bad=many.bad + one.bad + stream.bad,
    )


async def rounds(fronts: list[tuple[str, int, list[int]]], count: int, seconds: float) -> list[Figures]:
    """Fronts in turn, round by round, so that a noisy neighbour troubles all alike; medians over the rounds."""
    seen: dict[str, list[Figures]] = {name: [] for name, _, _ in fronts}
    for _, port, _ in fronts:
        await drive(port, requests(16), 0.5)
    for _ in range(count):
        for name, port, pids in fronts:
            seen[name].append(await measure(name, port, pids, seconds))
    return [_median(figures) for figures in seen.values()]


def _median(figures: list[Figures]) -> Figures:
    def middle(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in figures))

    return Figures(
        name=figures[0].name,
        cpu_us=middle("cpu_us"),
        per_second=middle("per_second"),
        p50_one_us=middle("p50_one_us"),
        first_event_us=middle("first_event_us"),
        rss=middle("rss"),
        bad=sum(one.bad for one in figures),
    )


def show(figures: list[Figures]) -> None:
    direct = figures[0]
    base = next((one.cpu_us for one in figures if one.name == "nginx"), None)
    print(
        f"{'front':<12}{'CPU µs/req':>11}{'× nginx':>9}{'req/s @16':>11}{'added p50 µs @1':>17}{'added SSE µs':>14}{'RSS MB':>8}{'bad':>5}"
    )
    for one in figures:
        ratio = f"{one.cpu_us / base:.1f}" if base and one is not direct else "–"
        print(
            f"{one.name:<12}{one.cpu_us:>11.0f}{ratio:>9}{one.per_second:>11.0f}"
            f"{one.p50_one_us - direct.p50_one_us:>17.0f}{one.first_event_us - direct.first_event_us:>14.0f}"
            f"{one.rss:>8.0f}{one.bad:>5}"
        )


async def run(seconds: float, count: int, *, with_peers: bool) -> None:
    upstream = free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        url = stack.enter_context(database())
        upstream_pid = stack.enter_context(
            process(sys.executable, "-m", "bench.dispatcher_bench", "--upstream", str(upstream))
        )
        wait_ready(upstream)
        fronts = [("direct", upstream, [upstream_pid])]
        if shutil.which("nginx"):
            fronts.append(("nginx", *stack.enter_context(nginx(folder, upstream))))
        else:
            print("skipped: nginx is not on PATH, so there is no ratio")
        fronts.append(("dispatcher", *stack.enter_context(dispatcher(folder, upstream, url))))
        if with_peers:
            try:
                fronts.append(("litellm", *stack.enter_context(litellm(folder, upstream))))
            except (subprocess.CalledProcessError, SystemExit) as error:
                print(f"skipped: LiteLLM's proxy could not be made ready: {error}")
        else:
            print("skipped: LiteLLM's proxy, which --peers (make bench PEERS=1) installs and measures")
        print(f"load average {os.getloadavg()[0]:.1f}")
        show(await rounds(fronts, count, seconds))
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM routing_app_dispatchrecord").fetchone()
        print(f"dispatch records stored: {row[0] if row else 0}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round at 16 connections")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM's proxy too")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    if options.upstream:
        asyncio.run(serve_upstream(options.upstream))
    else:
        asyncio.run(
            run(options.seconds, options.rounds, with_peers=options.peers or bool(os.environ.get("PEERS")))
        )


if __name__ == "__main__":
    main()
