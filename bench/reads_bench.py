"""Reading the trace store over HTTP: the list at 30,000 and at a million spans, trees of 15, 2,000 and 100,000.

    .venv/bin/python bench/reads_bench.py [--rounds 60] [--fill] [--peers]

Two databases of their own on the server of `DATABASE_URL` or the checkout's embedded one, filled once and kept
(`--fill` only fills). One trace of 15 spans goes through the store's own writer and is copied in bulk with new ids;
each has its dispatch record, and one in 40 failed. A web process serves each database; every answer is read whole over
one connection. `--peers` (PEERS=1) asks Phoenix and MLflow the same. Prints one line of JSON; times in milliseconds.
"""

from __future__ import annotations

# ruff: noqa: E402 - the repository is put on the path first
import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import reads_peers
from bench.load import fixed_loop, free_port, process, wait_ready
from platform_site import pg
from tests.ingest.parts import make_part, sealed
from traces_app.store.records import Bundle, Kind, RunPart, Status
from traces_app.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = {"30k": 2_000, "1m": 66_667}  # traces of 15 spans
SPANS = 15
KEY = "ask_bench_" + "b" * 40
NOW = datetime.now(UTC)
TEMPLATE = UUID(int=15)
#: Fixed ids of the traces that are opened.
TREES = {15: TEMPLATE, 2_000: UUID(int=2_000), 100_000: UUID(int=100_000)}
LISTS = {
    "list": "",
    "status:error": "status:error",
    "assistant": "assistant:email_compose",
    "rare tag": "tag:rare",
    "rare metadata below the root": "meta.customer:c-77",
    "latency and cost": "latency:>2s cost:>0.001",
    "has:finding": "has:finding",
    "no such assistant": "assistant:nobody",
    "free text, rare": '"needle in"',
}
_HEAD = {
    "trace_id": "trace",
    "root_run_id": "trace",
    **dict.fromkeys(("seen_at", "updated_at", "root_start", "started_at"), "at"),
    **dict.fromkeys(("root_end", "ended_at"), "at + interval '1 second' * (1 + n % 7)"),
    "status": "CASE WHEN n % 40 = 0 THEN 2 ELSE 1 END",
    "facts": "t.facts || ('meta.customer=c-' || n % 5000) || ('meta.request_id=' || md5('r' || n))"
    " || CASE WHEN n % 997 = 0 THEN ARRAY['tag=rare', 'error=a needle in hay'] ELSE '{}' END",
}
_PART = {
    "trace_id": "trace",
    "run_id": "CASE t.run_id WHEN t.trace_id THEN trace ELSE md5(trace::text || t.run_id)::uuid END",
    "parent_id": "CASE t.parent_id WHEN t.trace_id THEN trace ELSE md5(trace::text || t.parent_id)::uuid END",
    "start_time": "at",
    "end_time": "at + interval '1 second'",
}
_CALL = {
    "id": "md5('call' || n)::uuid",
    "request_id": "'r' || n",
    "run_id": "trace::text",
    "ls_trace_id": "CASE WHEN n % 2 = 1 THEN trace::text ELSE '' END",
    "w3c_trace_id": "md5('w3c' || n)",
    **dict.fromkeys(("received_at", "ended_at"), "at"),
}
MADE = """
CREATE TEMPORARY TABLE made AS SELECT n, md5('trace' || n)::uuid AS trace, now() - n * interval '0.6 seconds' AS at
FROM generate_series(1, %s) n
"""
#: Table → what a copy has of its own; all else is the template's.
COPIES = {
    "traces_app_tracehead": _HEAD,
    "traces_app_runpart": _PART,
    "traces_app_chunk": {"trace_id": "trace"},
    "routing_app_dispatchrecord": _CALL,
}
CALL = """
INSERT INTO routing_app_dispatchrecord SELECT (jsonb_populate_record(NULL::routing_app_dispatchrecord, to_jsonb(d) ||
    '{"method": "POST", "path": "/runs/wait", "assistant_id": "email_compose", "pool": "EMAIL", "replica": "",
    "routing_version": 1, "routing_digest": "", "status": 200, "error_kind": "", "error": "", "graph_failed": false,
    "thread_id": "", "key_prefix": "", "key_name": "web-app", "caller": "", "w3c_parent_id": "", "w3c_minted": true,
    "ls_trace_id": "", "ls_parent_run_id": "", "ls_project": "", "dropped_headers": [], "executed_pool": "EMAIL",
    "executed_graph_digest": "", "decided_graph_digest": "", "queued_ms": 0, "ttfb_ms": 9, "total_ms": 9}')).*
FROM (SELECT gen_random_uuid() AS id, now() AS received_at, now() AS ended_at, 'r' AS request_id,
    %(template)s AS run_id, '' AS w3c_trace_id) d
"""


def parts_of(trace: UUID, spans: int) -> list[RunPart]:
    """An action of `spans` runs: a caller, steps below it, an LLM call at every third, ten children to a step."""
    begun = int((NOW - timedelta(minutes=5)).timestamp() * 1e6)
    ids = [trace, *(uuid4() for _ in range(spans - 1))]
    made = []
    for n, run_id in enumerate(ids):
        llm = n % 3 == 2
        start = begun + n * 1000
        made.append(
            make_part(
                kind=Kind.SPAN,
                trace_id=trace.bytes,
                run_id=run_id.bytes,
                parent_id=ids[(n - 1) // 10].bytes if n else None,
                name=f"step {n % 50}",
                run_type="llm" if llm else "chain",
                project="web-app",
                start=start,
                end=start + 900,
                status=Status.OK,
                assistant_id="email_compose",
                pool="EMAIL",
                model="gpt-4o-mini" if llm else "",
                total_tokens=1_020 if llm else None,
                facts={"metadata": {"tenant": "acme", "step": n % 50, "environment": "production"}, "tags": ["demo"]},
                payload={
                    "inputs": {"messages": [{"role": "user", "content": f"question {n} " * 60}]},
                    "outputs": {"content": f"answer {n} " * 60},
                },
            )
        )  # fmt: skip
    return made


async def write(url: str, trace: UUID, spans: int) -> None:
    parts = parts_of(trace, spans)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        writer = Writer(price=lambda _run: None)
        for at in range(0, spans, 1_000):
            await writer.write(conn, [sealed(Bundle(parts=parts[at : at + 1_000]))])


def fill(server: str, name: str, traces: int) -> str:
    """The address of a database that holds this many traces and the trees; filled if it is not yet."""
    url = server.replace("/postgres?", f"/{name}?")
    if held(url) >= traces:
        return url
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name}")
    django(url, "call_command('migrate', verbosity=0); call_command('make_partitions', verbosity=0)")
    django(
        url,
        "from registry_app.services import ensure_api_key\n"
        f"ensure_api_key({KEY!r}, name='bench', scopes=('read', 'ingest'))",
    )
    with psycopg.connect(url, autocommit=True) as conn:
        for spans, trace in TREES.items():
            asyncio.run(write(url, trace, spans))
        conn.execute("SET synchronous_commit = off")
        conn.execute(CALL, {"template": str(TEMPLATE)})
        conn.execute(MADE, (traces,))
        for table, own in COPIES.items():
            copy(conn, table, own)
        conn.execute("VACUUM ANALYZE")
    return url


def held(url: str) -> int:
    """How many traces a database holds, 0 when there is none of that name."""
    try:
        with psycopg.connect(url) as conn:
            row: Any = conn.execute("SELECT count(*) FROM traces_app_tracehead").fetchone()
            return int(row[0])
    except psycopg.Error:
        return 0


def copy(conn: psycopg.Connection[Any], table: str, own: dict[str, str]) -> None:
    """The template's rows of a table, once for each row of `made`."""
    conn.execute("DROP TABLE IF EXISTS template")
    which = "run_id" if table == "routing_app_dispatchrecord" else "trace_id"
    conn.execute(
        f"CREATE TEMPORARY TABLE template AS SELECT * FROM {table} WHERE {which} = %s", (str(TEMPLATE),)
    )
    columns = [one.name for one in conn.execute("SELECT * FROM template LIMIT 0").description or ()]
    values = ", ".join(own.get(name, f"t.{name}") for name in columns)
    conn.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM made, template t")


def django(url: str, code: str) -> None:
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "platform_site.settings"}
    lines = f"import django; django.setup()\nfrom django.core.management import call_command\n{code}"
    subprocess.run([sys.executable, "-c", lines], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def web(url: str, size: str) -> Iterator[http.client.HTTPConnection]:
    """A connection to a web process of its own on the database."""
    port = free_port()
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "PLATFORM_ROLE": "web",
        "PLATFORM_DATA_DIR": str(ROOT / ".data" / f"bench_reads_{size}"),
        "LOG_LEVEL": "ERROR",
    }
    command = (sys.executable, "-m", "uvicorn", "platform_site.asgi:application", "--port", str(port))
    options = (
        "--http",
        "fleet.kit.door:Door",
        "--no-proxy-headers",
        "--no-access-log",
        "--log-level",
        "warning",
    )
    with process(*command, *options, "--timeout-keep-alive", "300", env=env):
        wait_ready(port, "/info", 60)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        yield connection
        connection.close()


def get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers={"x-api-key": KEY})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
    return body


def timed(reads: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """p50 and p95 of each read; one after the other in each round, so that a busy moment hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in reads}
    for turn in range(rounds + 3):
        for name, read in reads.items():
            begun = time.perf_counter()
            read()
            if turn >= 3:
                taken[name].append((time.perf_counter() - begun) * 1000)
    cuts = {name: statistics.quantiles(values, n=20) for name, values in taken.items()}
    return {name: {"p50": round(cut[9], 1), "p95": round(cut[18], 1)} for name, cut in cuts.items()}


def lists(connection: http.client.HTTPConnection, size: str) -> dict[str, Callable[[], object]]:
    def asked(q: str, cursor: str = "") -> Callable[[], object]:
        path = "/api/traces?" + urlencode({"q": q, "limit": 50, "cursor": cursor})
        return lambda: get(connection, path)

    middle = asked("", f"{(NOW - timedelta(seconds=0.3 * SIZES[size])).isoformat()}_{UUID(int=0)}")
    reads = {f"{name} at {size}": asked(q) for name, q in LISTS.items()}
    return {**reads, f"page in the middle at {size}": middle}


def tree(connection: http.client.HTTPConnection, spans: int) -> dict[str, Callable[[], object]]:
    path = f"/api/traces/{TREES[spans]}/tree" + ("?limit=200" if spans > 10_000 else "")
    return {f"tree of {spans:,}": lambda: get(connection, path)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--fill", action="store_true", help="fill the databases and end")
    parser.add_argument("--peers", action="store_true", help="ask Phoenix and MLflow the same")
    given = parser.parse_args()
    server = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    urls = {size: fill(server, f"bench_reads_{size}", traces) for size, traces in SIZES.items()}
    if given.fill:
        if given.peers:
            with reads_peers.phoenix(), reads_peers.mlflow():
                return
        return
    with ExitStack() as stack:
        connections = {size: stack.enter_context(web(url, size)) for size, url in urls.items()}
        reads = {name: read for size, held in connections.items() for name, read in lists(held, size).items()}
        if given.peers or os.environ.get("PEERS"):
            reads |= stack.enter_context(reads_peers.phoenix()) | stack.enter_context(reads_peers.mlflow())
        else:
            print(
                "skipped: Phoenix and MLflow, which --peers (make bench PEERS=1) installs and asks",
                file=sys.stderr,
            )
        reads |= tree(connections["1m"], 15) | {"a fixed loop": fixed_loop}
        found = timed(reads, given.rounds)
        # Apart: after a hundred thousand spans the processor's cache holds nothing of what comes next.
        large = tree(connections["1m"], 2_000) | tree(connections["1m"], 100_000)
        found |= timed(large | {"a fixed loop among trees": fixed_loop}, max(given.rounds // 6, 5))
    print(json.dumps({"bench": "reads", "ms": found, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
