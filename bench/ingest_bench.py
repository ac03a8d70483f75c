"""Ingest under the standard load: OTLP/HTTP, 15-span agent traces, 3.1 KB a span, 150 spans a POST, 8 connections.

    python bench/ingest_bench.py [--seconds 10] [--workers 2] [--peers]

Real uvicorn, real PostgreSQL, generator on the same machine; default redaction and roll-ups on. A span counts when
it can be read from the database, not when it was answered; the time runs until all that were answered can be. Prints
one line of JSON for ours and, with `--peers`, one for Phoenix and one for MLflow under the same load, each on the
database it is faster on; they are installed in `.data/peers` the first time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

from bench.peers import binaries  # noqa: E402
from platform_site import pg  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATABASE = "ingest_bench"
KEY = "ask_bench_" + "b" * 40
SPANS_A_TRACE, TRACES_A_POST, CONNECTIONS = 15, 10, 8
#: A store that answers before it has stored gets this many times the time of sending to do it.
PATIENCE = 4
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


@dataclass(frozen=True)
class Store:
    """One that takes OTLP: how it is started, where it is posted to, and what it has stored as (spans, bytes)."""

    name: str
    command: list[str]
    env: dict[str, str]
    path: str
    headers: dict[str, str]
    stored: Callable[[], tuple[int, int]]


@contextlib.contextmanager
def serving(store: Store, port: int, folder: Path) -> Iterator[int]:
    """Run the store's server in a session of its own and yield its process id; all of the session ends with it."""
    env = {**os.environ, **store.env}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            store.command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _answers(store, server, port, folder)
        yield server.pid
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(15)


def _answers(store: Store, server: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as conn:
                headers = {"content-type": "application/x-protobuf", **store.headers}
                conn.request("POST", store.path, ExportTraceServiceRequest().SerializeToString(), headers)
                if conn.getresponse().status < 500:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{store.name} did not start: {(folder / 'log').read_text()[-2000:]}")


class Sender(threading.Thread):
    """One connection that posts until the time is over; bodies are made before."""

    def __init__(self, store: Store, port: int, bodies: list[bytes], until: float) -> None:
        super().__init__()
        self.store, self.port, self.bodies, self.until = store, port, bodies, until
        self.took: list[float] = []
        self.refused = 0

    def run(self) -> None:
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/x-protobuf", **self.store.headers}
        while self.bodies and time.monotonic() < self.until:
            began = time.monotonic()
            conn.request("POST", self.store.path, self.bodies.pop(), headers)
            answer = conn.getresponse()
            answer.read()
            if answer.status == 200:
                self.took.append(time.monotonic() - began)
            else:
                self.refused += 1


def session(leader: int) -> list[int]:
    """The processes of a session, the leader's children among them."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    members = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                members.append(pid)
    return members


def postgres(url: str) -> list[int]:
    """The processes of the PostgreSQL behind the address, when it runs on this machine."""
    with psycopg.connect(url) as conn:
        backend = conn.info.backend_pid
    with contextlib.suppress(OSError, IndexError):
        postmaster = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
        return [
            int(one) for one in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        ]
    return []


def cpu_seconds(pids: list[int]) -> float:
    spent = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def settle(leader: int) -> None:
    """Wait until the server rests: workers that still start would be counted as its work."""
    for _ in range(60):
        before = cpu_seconds(session(leader))
        time.sleep(1)
        if cpu_seconds(session(leader)) - before < 0.1:
            return


def peak_mb(leader: int) -> float:
    peak = 0.0
    for pid in session(leader):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            peak += next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return peak


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


def ours(url: str, port: int, _folder: Path, *, workers: int) -> Store:
    """This project's ingest alone, in as many processes as asked for, on a database of its own."""
    database_url = url.replace("/postgres?", f"/{DATABASE}?")
    prepare(url, database_url)
    args = ["-m", "uvicorn", "traces_app.ingest.main:app", "--app-dir", str(ROOT), "--port", str(port)]
    args += ["--workers", str(workers)]
    return Store(
        "ingest",
        [
            sys.executable,
            *args,
            "--log-level",
            "warning",
            "--no-access-log",
            "--http",
            "fleet.kit.door:Door",
            "--no-proxy-headers",
        ],
        {"DATABASE_URL": database_url, "PLATFORM_DATA_DIR": str(ROOT / ".data" / "bench")},
        "/otlp/v1/traces",
        {"x-api-key": KEY},
        lambda: stored(database_url),
    )


def phoenix(_url: str, port: int, folder: Path) -> Store:
    """Phoenix on SQLite."""
    home = binaries("phoenix")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        grpc = s.getsockname()[1]

    def rows() -> tuple[int, int]:
        with contextlib.closing(sqlite3.connect(folder / "phoenix.db")) as conn:
            (spans,) = conn.execute("SELECT count(*) FROM spans").fetchone()
        return int(spans), sum(p.stat().st_size for p in folder.glob("phoenix.db*"))

    env = {"PHOENIX_WORKING_DIR": str(folder), "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(grpc)}
    env |= {"PHOENIX_HOST": "127.0.0.1", "PHOENIX_TELEMETRY_ENABLED": "false"}
    return Store("phoenix", [str(home / "phoenix"), "serve"], env, "/v1/traces", {}, rows)


def mlflow(url: str, port: int, folder: Path) -> Store:
    """MLflow on PostgreSQL, with the four workers it has by default."""
    home = binaries("mlflow")
    database = url.replace("/postgres?", "/mlflow_bench?")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS mlflow_bench WITH (FORCE)")
        conn.execute("CREATE DATABASE mlflow_bench")

    def rows() -> tuple[int, int]:
        with psycopg.connect(database) as conn:
            found: Any = conn.execute(
                "SELECT (SELECT count(*) FROM spans), pg_database_size(current_database())"
            ).fetchone()
        return int(found[0]), int(found[1])

    where = ["--backend-store-uri", database, "--default-artifact-root", str(folder / "artifacts")]
    command = [str(home / "mlflow"), "server", *where, "--host", "127.0.0.1", "--port", str(port)]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{home}:{os.environ['PATH']}"}
    return Store("mlflow", command, env, "/v1/traces", {"x-mlflow-experiment-id": "0"}, rows)


def measure(make: Callable[[str, int, Path], Store], seconds: float) -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    rng = random.Random(1)
    bodies = [[body(rng) for _ in range(max(4, int(seconds * 14)))] for _ in range(CONNECTIONS)]
    span_bytes = len(bodies[0][0]) / (SPANS_A_TRACE * TRACES_A_POST)
    with tempfile.TemporaryDirectory(prefix="ingest_bench") as name:
        store = make(url, port, Path(name))
        with serving(store, port, Path(name)) as pid:
            empty = store.stored()[1]
            settle(pid)
            spent, database = cpu_seconds(session(pid)), cpu_seconds(postgres(url))
            began = time.monotonic()
            senders = [Sender(store, port, mine, began + seconds) for mine in bodies]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            took = sorted(t for s in senders for t in s.took)
            acknowledged = len(took) * SPANS_A_TRACE * TRACES_A_POST
            sent_for = time.monotonic() - began
            while (now := store.stored())[0] < acknowledged and time.monotonic() < began + PATIENCE * seconds:
                time.sleep(0.5)
            elapsed = time.monotonic() - began
            spans, size = now
            spent, database = cpu_seconds(session(pid)) - spent, cpu_seconds(postgres(url)) - database
            peak = peak_mb(pid)
    return {
        "bench": store.name,
        "durable_spans_s": round(spans / elapsed),
        "answered_spans_s": round(acknowledged / sent_for),
        "seconds": round(elapsed, 1),
        "spans": spans,
        "acknowledged_missing": acknowledged - spans,
        "refused_posts": sum(s.refused for s in senders),
        "server_cpu_ms_per_span": round(1000 * spent / spans, 4) if spans else None,
        "postgres_cpu_ms_per_span": round(1000 * database / spans, 4) if spans else None,
        "p50_ms": round(1000 * statistics.median(took), 1),
        "p99_ms": round(1000 * took[int(len(took) * 0.99)], 1),
        "bytes_per_span_sent": round(span_bytes),
        "bytes_per_span_stored": round((size - empty) / spans) if spans else None,
        "rss_peak_mb": round(peak),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--workers", type=int, default=2, help="processes of our ingest (MLflow runs four)")
    parser.add_argument("--peers", action="store_true", help="measure Phoenix and MLflow too")
    given = parser.parse_args()
    here = measure(partial(ours, workers=given.workers), given.seconds)
    print(json.dumps(here), flush=True)
    if not (given.peers or os.environ.get("PEERS")):
        print("skipped: Phoenix and MLflow, which --peers (make bench PEERS=1) installs and measures")
        return
    for make in (phoenix, mlflow):
        there = measure(make, given.seconds)
        there["ours_is_times"] = round(here["durable_spans_s"] / max(1, there["durable_spans_s"]), 1)
        print(json.dumps(there), flush=True)


if __name__ == "__main__":
    main()
