"""What sleeping contacts cost: the claim from 10^4 to 10^6 enrollments, and the lag from due to sent. Two lines of JSON.

.venv/bin/python bench/campaign_bench.py            # BENCH_DUE mails due at once, BENCH_ROWS the largest table
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "platform_site.settings"
os.environ["DATABASE_POOL_SIZE"] = "0"

SIZES = (10_000, 100_000, 1_000_000)
DUE = int(os.environ.get("BENCH_DUE", "2000"))
MOST = int(os.environ.get("BENCH_ROWS", "1000000"))
BATCH = 100
CLAIMS = 50

FILL = """
    WITH people AS (
        INSERT INTO campaigns_app_contact (email, name, title, company, timezone, facts, notes, created_at)
        SELECT 'p' || n || '@example.com', 'P ' || n, '', '', '', '', '', now() FROM generate_series(%(a)s, %(b)s) n
        RETURNING id
    )
    INSERT INTO campaigns_app_enrollment
        (id, campaign_id, contact_id, status, held, position, due_at, claimed_by, attempts, last_error, created_at)
    SELECT gen_random_uuid(), %(campaign)s, id, 'active', false, 0,
           now() + interval '30 days' * (0.01 + random()), '', 0, '', now() FROM people
"""
#: A letter as a graph leaves it: what is measured is our own way from due to sent, not the graph.
WRITE = """
    INSERT INTO campaigns_app_touch (id, enrollment_id, step_id, variant, key, message_id, status, subject, body,
        langsmith_run_id, thread_id, request_id, pool, composed_at, promise, error)
    SELECT gen_random_uuid(), e.id, %(step)s, 'A', encode(sha256(e.id::text::bytea), 'hex'), '<' || e.id || '@bench>',
        'composed', 'A question', 'Hello', gen_random_uuid()::text, '', '', 'EMAIL', now(), '{}', ''
    FROM campaigns_app_enrollment e WHERE e.due_at <= now()
"""
MAKE_DUE = """
    UPDATE campaigns_app_enrollment SET due_at = now() - interval '1 second' * random()
    WHERE id IN (SELECT id FROM campaigns_app_enrollment WHERE position = 0 AND claimed_by = '' LIMIT %(n)s)
"""


def main() -> None:
    from platform_site import pg

    with tempfile.TemporaryDirectory(prefix="agentic-bench-") as folder:
        data = Path(folder) / "data"
        os.environ["PLATFORM_DATA_DIR"] = str(data)
        os.environ["DATABASE_URL"] = pg.ensure(data)
        try:
            measure()
        finally:
            pg.stop(data)


def measure() -> None:
    import django

    django.setup()
    logging.disable(logging.INFO)
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    campaign = make_campaign()
    filled, costs = 0, {}
    for size in (each for each in SIZES if each <= MOST):
        run(FILL, a=filled + 1, b=size, campaign=campaign.pk)
        filled = size
        run("ANALYZE campaigns_app_enrollment")
        costs[size] = claim_cost()
    print(json.dumps({"bench": "campaign claim", "batch": BATCH, "ms_median_worst": costs}))
    run(MAKE_DUE, n=DUE)
    run(WRITE, step=campaign.steps.get(position=0).pk)
    print(json.dumps({"bench": "due to sent", "rows": filled, **lag()}))
    connection.close()


def make_campaign() -> Any:
    import datetime as dt

    from campaigns_app import services

    address = "bench@northbeam.example"
    services.save_mailbox(address=address, display_name="", daily_limit=10_000_000)
    campaign = services.create_campaign(
        name="Bench",
        slug="bench",
        mailbox=address,
        steps=[{"delay": 0, "delay_unit": "hours"}, {"delay": 90, "delay_unit": "business_days"}],
        weekdays=list(range(7)),
        window_start=dt.time(0, 0),
        window_end=dt.time(23, 59, 59),
        daily_limit=10_000_000,
    )
    services.activate(campaign=campaign)
    return campaign


def run(sql: str, **values: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def claim_cost() -> tuple[float, float]:
    """Milliseconds (median, worst) of claiming a batch that is due, among rows that are not."""
    from campaigns_app.engine import claim_due

    run(MAKE_DUE, n=BATCH * CLAIMS)
    taken = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        assert len(claim_due(worker="bench", limit=BATCH)) == BATCH
        taken.append((time.perf_counter() - began) * 1000)
    run(
        "UPDATE campaigns_app_enrollment SET claimed_by = 'before', due_at = now() + interval '60 days' "
        "WHERE claimed_by = 'bench'"
    )
    return round(statistics.median(taken), 2), round(max(taken), 2)


def lag() -> dict[str, Any]:
    """Seconds from due to sent over a real SMTP connection, with one claim loop."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.handlers import Sink
    from django.conf import settings
    from django.db import connection

    from campaigns_app.loop import run_claim_loop
    from tests.integration.conftest import free_port

    port = free_port()
    controller = Controller(Sink(), hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
    stop = threading.Event()
    loop = threading.Thread(target=run_claim_loop, args=(stop,))
    began = time.time()
    loop.start()
    try:
        while count_sent() < DUE:
            time.sleep(0.5)
    finally:
        stop.set()
        loop.join()
        controller.stop()
    took = time.time() - began
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.99) WITHIN GROUP (ORDER BY s) "
            "FROM (SELECT extract(epoch FROM sent_at - composed_at) AS s FROM campaigns_app_touch WHERE status = 'sent') t"
        )
        p50, p99 = cursor.fetchone()
    return {
        "due_at_once": DUE,
        "lag_s_p50": round(float(p50), 2),
        "lag_s_p99": round(float(p99), 2),
        "sends_per_s": round(DUE / took, 1),
        "due_per_hour_at_this_rate": int(DUE / took * 3600),
    }


def count_sent() -> int:
    from campaigns_app.models import Touch

    return Touch.objects.filter(status=Touch.Status.SENT).count()


if __name__ == "__main__":
    main()
