"""Ingest under the standard load: OTLP/HTTP, 15-span agent traces, 3.1 KB a span, 150 spans a POST, 8 connections.

    python bench/ingest_bench.py [--seconds 10] [--profile]

Real uvicorn, real PostgreSQL, generator on the same machine; default redaction and roll-ups on. A span counts when
it can be read from the database, not when it was answered. Prints one line of JSON. `--peers` says that no peer was
measured in this run, and why.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

from platform_site import pg  # noqa: E402

DATABASE = "ingest_bench"
KEY = "ask_bench_" + "b" * 40
SPANS_A_TRACE, TRACES_A_POST, CONNECTIONS = 15, 10, 8
TABLES = ("traces_app_runpart", "traces_app_chunk", "traces_app_attachment")
_WORDS_RNG = random.Random(7)
WORDS = ["".join(_WORDS_RNG.choices("etaoinshrdlucmfw", k=_WORDS_RNG.randint(2, 10))) for _ in range(3000)]


def words(rng: random.Random, size: int) -> str:
    return " ".join(rng.choices(WORDS, k=size // 7 + 1))[:size]


def body(rng: random.Random) -> bytes:
    """One POST: ten agent traces; spans of a trace share the system prompt, all else is their own."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "agent"
    scope = group.scope_spans.add()
    start = time.time_ns()
    for _ in range(TRACES_A_POST):
        trace, system, parent = rng.randbytes(16), words(rng, 700), b""
        for n in range(SPANS_A_TRACE):
            span = scope.spans.add(trace_id=trace, span_id=rng.randbytes(8), parent_span_id=parent)
            parent = parent or span.span_id
            span.name = f"step {n}"
            span.start_time_unix_nano, span.end_time_unix_nano = (
                start + n * 10**6,
                start + n * 10**6 + 5 * 10**8,
            )
            llm = n % 3 == 2
            prompt = {
                "messages": [
                    {"role": "system", "content": system},
                    {"role": "user", "content": words(rng, 1050)},
                ]
            }
            fields: dict[str, str | int] = {
                "langgraph.assistant_id": "email_compose",
                "agentic.pool": "EMAIL",
                "gen_ai.operation.name": "chat" if llm else "invoke_agent",
                "gen_ai.prompt": json.dumps(prompt),
                "gen_ai.completion": json.dumps({"content": words(rng, 850)}),
                "note": words(rng, 150),
            }
            if llm:
                fields |= {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 900}
                fields |= {"gen_ai.provider.name": "openai", "gen_ai.usage.output_tokens": 120}
            for key, value in fields.items():
                held = span.attributes.add(key=key).value
                if isinstance(value, int):
                    held.int_value = value
                else:
                    held.string_value = value
    return request.SerializeToString()


def prepare(url: str, database_url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {DATABASE}")
    code = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0); call_command('make_partitions', verbosity=0, stdout=open('/dev/null', 'w'))\n"
        "from registry_app.services import ensure_api_key\n"
        f"ensure_api_key({KEY!r}, name='bench', scopes=('ingest',))"
    )
    env = {**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "platform_site.settings"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)


def start_server(database_url: str, port: int, profile: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "DATABASE_URL": database_url, "PLATFORM_DATA_DIR": str(ROOT / ".data" / "bench")}
    profiler = ["-m", "cProfile", "-o", profile] if profile else []
    args = ["-m", "uvicorn", "traces_app.ingest.main:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen([sys.executable, *profiler, *args, "--no-access-log"], cwd=ROOT, env=env)
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return server
        except OSError:
            time.sleep(0.05)
    raise SystemExit("ingest did not start")


class Sender(threading.Thread):
    """One connection that posts until the time is over; bodies are made before."""

    def __init__(self, port: int, bodies: list[bytes], until: float) -> None:
        super().__init__()
        self.port, self.bodies, self.until = port, bodies, until
        self.took: list[float] = []
        self.refused = 0

    def run(self) -> None:
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/x-protobuf", "x-api-key": KEY}
        while self.bodies and time.monotonic() < self.until:
            began = time.monotonic()
            conn.request("POST", "/otlp/v1/traces", self.bodies.pop(), headers)
            answer = conn.getresponse()
            answer.read()
            if answer.status == 200:
                self.took.append(time.monotonic() - began)
            else:
                self.refused += 1


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def stored(database_url: str) -> tuple[int, int]:
    """Return (spans, bytes of all tables, indexes and TOAST of the trace store)."""
    with psycopg.connect(database_url) as conn:
        spans: Any = conn.execute("SELECT count(*) FROM traces_app_runpart").fetchone()
        size: Any = conn.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
            " WHERE c.relkind = 'r' AND (i.inhparent = ANY(%s::regclass[]::oid[])"
            " OR c.relname IN ('traces_app_tracehead', 'traces_app_rollup'))",
            (list(TABLES),),
        ).fetchone()
    return int(spans[0]), int(size[0])


def measure(seconds: float, profile: str) -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    database_url = url.replace("/postgres?", f"/{DATABASE}?")
    prepare(url, database_url)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    rng = random.Random(1)
    bodies = [[body(rng) for _ in range(max(4, int(seconds * 14)))] for _ in range(CONNECTIONS)]
    span_bytes = len(bodies[0][0]) / (SPANS_A_TRACE * TRACES_A_POST)
    server = start_server(database_url, port, profile)
    try:
        spent = cpu_seconds(server.pid)
        began = time.monotonic()
        senders = [Sender(port, mine, began + seconds) for mine in bodies]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        elapsed = time.monotonic() - began
        spent = cpu_seconds(server.pid) - spent
        peak = peak_mb(server.pid)
        spans, size = stored(database_url)
    finally:
        server.terminate()
        server.wait(30)
    took = sorted(t for s in senders for t in s.took)
    acknowledged = len(took) * SPANS_A_TRACE * TRACES_A_POST
    return {
        "bench": "ingest",
        "durable_spans_s": round(spans / elapsed),
        "seconds": round(elapsed, 1),
        "spans": spans,
        "acknowledged_missing": acknowledged - spans,
        "refused_posts": sum(s.refused for s in senders),
        "server_cpu_ms_per_span": round(1000 * spent / spans, 4),
        "p50_ms": round(1000 * statistics.median(took), 1),
        "p99_ms": round(1000 * took[int(len(took) * 0.99)], 1),
        "bytes_per_span_sent": round(span_bytes),
        "bytes_per_span_stored": round(size / spans),
        "rss_peak_mb": round(peak),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--profile", default="", help="write a cProfile of the server here")
    parser.add_argument("--peers", action="store_true", help="also say why peers are not measured")
    given = parser.parse_args()
    print(json.dumps(measure(given.seconds, given.profile)))
    if given.peers:
        print("skipped: Phoenix and MLflow are not installed beside this environment", file=sys.stderr)


if __name__ == "__main__":
    main()
