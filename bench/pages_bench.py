"""Server time of the list, a panel, home and a trace of 2,000 spans, in milliseconds. One line of JSON.

    .venv/bin/python bench/pages_bench.py

Heads and dispatch records are made in bulk: 100,000 actions of ten spans stand for a store of a million. Runs on a
database of its own, made and dropped on the server of `DATABASE_URL` or the checkout's embedded one.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ACTIONS, CALLS, SPANS, ROUNDS = 100_000, 20_000, 2_000, 20
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

    from tests.traces.scenes import uid

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
        taken = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            assert client.get(path, headers=headers).status_code == 200, path
            taken.append((time.perf_counter() - begun) * 1000)
        cuts = statistics.quantiles(taken, n=20)
        found[name] = {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1)}
    return found


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
    try:
        print(
            json.dumps(
                {
                    "ms": measure(fill(url)),
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
