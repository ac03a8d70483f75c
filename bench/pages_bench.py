"""Server time of the list, a panel, home and a trace of 2,000 spans, in milliseconds. One line of JSON.

    .venv/bin/python bench/pages_bench.py [--peers]

Then the same pages of the web process in Chromium, where it is installed: when the document is interactive, and when three steps of the
large trace can be read. With `--peers` (or PEERS=1) Phoenix shows a trace of 2,000 spans in the same browser, beside
ours in turn; it is installed once, in an environment of its own.

Heads and dispatch records are made in bulk: 100,000 actions of ten spans stand for a store of a million. Runs on a
database of its own, made and dropped on the server of `DATABASE_URL` or the checkout's embedded one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.load import fixed_loop, free_port, process, untraced, wait_ready  # noqa: E402

VISITS = 5
TRACE_ID = bytes(range(1, 17))
#: Milliseconds since the visit began at which the page holds so many different texts of a pattern. Which steps of a
#: trace stand first is the page's own choice: Phoenix begins with those whose parents it has not loaded.
READABLE = """([pattern, least]) => { const text = document.body?.textContent ?? "";
    return new Set(text.match(new RegExp(pattern, "g"))).size >= least ? performance.now() : 0; }"""
FIGURES = """() => { const [visit] = performance.getEntriesByType("navigation");
    const all = [visit, ...performance.getEntriesByType("resource")];
    return { interactive: visit.domContentLoadedEventEnd, requests: all.length,
        kB: all.reduce((sum, one) => sum + one.encodedBodySize, 0) / 1000 }; }"""
ACTIONS, CALLS, SPANS, ROUNDS = 100_000, 20_000, 2_000, 40
HEADS = """
INSERT INTO traces_app_tracehead SELECT (jsonb_populate_record(h, jsonb_build_object(
    'trace_id', md5('trace' || n)::uuid, 'root_run_id', md5('trace' || n)::uuid, 'name', 'action ' || n,
    'seen_at', now() - n * interval '0.8 seconds', 'updated_at', now() - n * interval '0.8 seconds',
    'started_at', now() - n * interval '0.8 seconds', 'ended_at', now() - n * interval '0.8 seconds' + interval '2 seconds',
    'status', CASE WHEN n %% 40 = 0 THEN 2 ELSE 1 END, 'runs', 10, 'pool', 'EMAIL', 'day', current_date))).*
FROM generate_series(1, %s) n, traces_app_tracehead h
"""
CALLS_SQL = """
INSERT INTO routing_app_dispatchrecord SELECT (jsonb_populate_record(d, jsonb_build_object(
    'id', md5('call' || n)::uuid, 'run_id', md5('trace' || n)::uuid, 'request_id', 'r' || n, 'total_ms', 900 + n %% 500,
    'ls_trace_id', '', 'w3c_trace_id', md5('w' || n), 'pool', 'EMAIL', 'status', 200,
    'received_at', now() - n * interval '0.7 seconds', 'ended_at', now() - n * interval '0.7 seconds'))).*
FROM generate_series(1, %s) n, routing_app_dispatchrecord d
"""


def fill(url: str) -> str:
    """Store the big trace and the bulk; the big trace's id."""
    from django.db import connection

    from tests.browser.stored import store
    from tests.traces.scenes import hop, run, uid

    start = datetime.now(UTC) - timedelta(minutes=5)
    runs = [replace(run("caller", 0, 200), start=start, end=start + timedelta(seconds=200))]
    for at in range(1, SPANS):
        begun = start + timedelta(seconds=at * 0.09)
        parent = "caller" if at <= 20 else f"step {(at - 21) // 4 + 1}"
        runs.append(replace(run(f"step {at}", 0, 1, parent), start=begun, end=begun + timedelta(seconds=0.5)))
    store(url, runs, [hop("seed", 0, 1)], {})
    with connection.cursor() as cursor:
        cursor.execute(HEADS, [ACTIONS])
        cursor.execute(CALLS_SQL, [CALLS])
        cursor.execute("ANALYZE")
    return uid("caller")


def measure(trace: str) -> dict[str, dict[str, float]]:
    """p50 and p95 of each page over `ROUNDS` requests through Django's whole stack, without a network."""
    from django.contrib.auth.models import User
    from django.test import Client

    from platform_site.lib import memory
    from tests.traces.scenes import uid

    memory.settle()  # as the web process does once it is ready
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    panel = {"HX-Request": "true", "HX-Target": "traces-panel"}
    found = {}
    for name, path, headers in (
        ("list", "/traces/", {}),
        ("list_of_failures", "/traces/?q=status:error", {}),
        ("strips", "/traces/strips", {}),
        ("home", "/", {}),
        ("trace_2000", f"/traces/{trace}/", {}),
        ("panel_of_2000", f"/traces/{trace}/runs/{uid('step 1500')}", panel),
    ):
        client.get(path, headers=headers)  # templates are read once by each process
        taken, loops = [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            assert client.get(path, headers=headers).status_code == 200, path
            ended = time.perf_counter()
            fixed_loop()
            taken.append((ended - begun) * 1000)
            loops.append((time.perf_counter() - ended) * 1000)
        cuts = statistics.quantiles(taken, n=20)
        found[name] = {
            "p50": round(cuts[9], 1),
            "p95": round(cuts[18], 1),
            "fixed_loop": round(statistics.median(loops), 2),
        }
    return found


@contextlib.contextmanager
def served(database_url: str) -> Iterator[str]:
    """The web part as it is run, with its compressed static files; its address."""
    from django.conf import settings

    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        given = {
            **untraced(),
            "DATABASE_URL": database_url,
            "PLATFORM_DATA_DIR": folder,
            "PLATFORM_ROLE": "web",
            "SECRET_KEY": settings.SECRET_KEY,
        }
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
        subprocess.run(collect, env=given, cwd=ROOT, check=True)
        command = (
            "-m",
            "uvicorn",
            "platform_site.asgi:application",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-access-log",
            "--http",
            "fleet.kit.door:Door",
            "--no-proxy-headers",
        )
        with process(sys.executable, *command, env=given):
            wait_ready(port)
            yield f"http://127.0.0.1:{port}"


def in_browser(trace: str, database_url: str, *, with_peers: bool) -> dict[str, object]:
    """Medians over `VISITS` cold visits, each in a fresh context of one Chromium, and a second one in it; ours and the peer's in turn."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import CHROMIUM, launch

    if not CHROMIUM:
        return {"skipped": "no Chromium is installed"}
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(served(database_url))
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session, "url": base}
        targets = {
            "nothing": f"{base}/ok",  # what this browser takes on this machine for an answer without a page
            "list": f"{base}/traces/",
            "home": f"{base}/",
            "trace_2000": f"{base}/traces/{trace}/",
        }
        if with_peers:
            targets["phoenix_trace_2000"] = stack.enter_context(phoenix())
        # The ORM sees Playwright's loop in this thread and would refuse to drop the database.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        playwright = stack.enter_context(sync_playwright())
        browser = launch(playwright)
        stack.callback(browser.close)
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
        for _ in range(VISITS + 1):  # the first is the process's own first, and left out
            for name, address in targets.items():
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                context.add_cookies([cookie])  # type: ignore[list-item]
                page = context.new_page()
                page.goto(address, wait_until="commit")
                wanted = [r"step \d+", 3] if "trace" in name else ["ok" if name == "nothing" else "Traces", 1]
                found = page.wait_for_function(READABLE, arg=wanted, timeout=120_000).json_value()
                page.wait_for_load_state("load")
                figures = {"readable": found, **page.evaluate(FIGURES)}
                page.goto(address)
                seen[name].append(figures | {"interactive_again": page.evaluate(FIGURES)["interactive"]})
                context.close()
    medians = {
        name: {key: round(statistics.median(one[key] for one in visits[1:]), 1) for key in visits[0]}
        for name, visits in seen.items()
    }
    if with_peers:
        ratio = medians["phoenix_trace_2000"]["readable"] / medians["trace_2000"]["readable"]
        return {**medians, "phoenix_over_ours": round(ratio, 1)}
    return {**medians, "skipped": "Phoenix, which --peers (make bench PEERS=1) installs and measures"}


@contextlib.contextmanager
def phoenix() -> Iterator[str]:
    """A Phoenix that holds a trace of the same shape; the address of that trace's page."""
    home = ROOT / ".data" / "peers" / "phoenix"
    if not (home / "bin" / "phoenix").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(
            [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "arize-phoenix"], check=True
        )
    with tempfile.TemporaryDirectory() as folder, socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("127.0.0.1", 0))
        port, grpc = one.getsockname()[1], two.getsockname()[1]
        one.close()
        two.close()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        command = [str(home / "bin" / "phoenix"), "serve"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=env, cwd=folder, stdout=quiet, stderr=quiet) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
                httpx.post(
                    f"{url}/v1/traces",
                    content=otlp_trace(),
                    headers={"content-type": "application/x-protobuf"},
                    timeout=60,
                ).raise_for_status()
                until(lambda: _stored(url) >= SPANS)
                project = httpx.get(f"{url}/v1/projects").json()["data"][0]["id"]
                yield f"{url}/projects/{project}/traces/{TRACE_ID.hex()}"
            finally:
                process.terminate()


def _stored(url: str) -> int:
    query = {"query": "{ projects { edges { node { recordCount } } } }"}
    edges = httpx.post(f"{url}/graphql", json=query, timeout=30).json()["data"]["projects"]["edges"]
    return sum(edge["node"]["recordCount"] for edge in edges)


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again for two minutes; raises TimeoutError."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
            if holds():
                return
        time.sleep(0.2)
    raise TimeoutError("the peer did not get ready within two minutes")


def otlp_trace() -> bytes:
    """The large trace as OpenTelemetry spans: the same names, parents and times."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    start = time.time_ns() - 300 * 10**9
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for at in range(SPANS):
        parent = 0 if at <= 20 else (at - 21) // 4 + 1
        begun = start + at * 90_000_000
        spans.add(
            trace_id=TRACE_ID,
            span_id=(at + 1).to_bytes(8, "big"),
            parent_span_id=(parent + 1).to_bytes(8, "big") if at else b"",
            name=f"step {at}" if at else "caller",
            start_time_unix_nano=begun,
            end_time_unix_nano=begun + (200 * 10**9 if not at else 5 * 10**8),
        )
    return bytes(request.SerializeToString())


def main() -> None:
    from platform_site import env, pg

    os.environ.update(
        DATABASE_POOL_SIZE="0", LOG_LEVEL="ERROR", DJANGO_SETTINGS_MODULE="platform_site.settings"
    )
    pg.prepare_environment(os.environ, env.read().data_dir)
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test.utils import setup_test_environment, teardown_test_environment

    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    setup_test_environment()
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"bench_pages_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    given = connection.settings_dict
    url = f"postgresql://{given['USER']}@/{given['NAME']}?host={quote(given['HOST'], safe='')}"
    with_peers = "--peers" in sys.argv or bool(os.environ.get("PEERS"))
    try:
        trace = fill(url)
        print(
            json.dumps(
                {
                    "ms": measure(trace),
                    "browser_ms": in_browser(trace, url, with_peers=with_peers),
                    "load": round(os.getloadavg()[0], 1),
                    "actions": ACTIONS,
                    "calls": CALLS,
                    "spans": SPANS,
                }
            )
        )
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        teardown_test_environment()


if __name__ == "__main__":
    main()
