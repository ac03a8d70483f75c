"""What sleeping contacts cost: the claim from 10^4 to 10^6 enrollments, and the lag from due to sent. Three lines of JSON.

.venv/bin/python bench/campaign_bench.py     # BENCH_DUE mails due, BENCH_ROWS the largest table, BENCH_SENT sent today

The lag is measured twice: all due at once says what one job process manages, 28 a second is 100,000 in an hour.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "platform_site.settings"

SIZES = (10_000, 100_000, 1_000_000)
DUE = int(os.environ.get("BENCH_DUE", "2000"))
SENT = int(os.environ.get("BENCH_SENT", "50000"))
#: 100,000 in an hour.
RATE = 28
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
        langsmith_run_id, thread_id, request_id, pool, composed_at, sending_at, sent_at, promise, error)
    SELECT gen_random_uuid(), e.id, %(step)s, 'A', encode(sha256(e.id::text::bytea), 'hex'), '<' || e.id || '@bench>',
        %(status)s, 'A question', 'Hello', gen_random_uuid()::text, '', '', 'EMAIL', e.due_at,
        %(sent_at)s, %(sent_at)s, '{}', ''
    FROM campaigns_app_enrollment e WHERE e.claimed_by = %(who)s AND e.campaign_id = %(campaign)s
"""
#: Enrollments of a campaign that nothing was done for, set apart by a name.
SET_APART = """
    UPDATE campaigns_app_enrollment SET claimed_by = %(who)s WHERE id IN (
        SELECT e.id FROM campaigns_app_enrollment e WHERE e.position = 0 AND e.claimed_by = ''
        AND e.campaign_id = %(campaign)s AND NOT EXISTS (SELECT FROM campaigns_app_touch t WHERE t.enrollment_id = e.id)
        LIMIT %(n)s)
"""
#: The same ones, due one after the other.
DUE_AT = """
    UPDATE campaigns_app_enrollment e SET due_at = now() + make_interval(secs => o.number * %(gap)s)
    FROM (SELECT id, row_number() OVER () AS number FROM campaigns_app_enrollment WHERE claimed_by = %(who)s) o
    WHERE o.id = e.id
"""
MAKE_DUE = """
    UPDATE campaigns_app_enrollment SET due_at = now() - interval '1 second' * random()
    WHERE id IN (SELECT id FROM campaigns_app_enrollment WHERE position = 0 AND claimed_by = '' LIMIT %(n)s)
"""
MAILSERVER = """
import sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1])).start()
print("ready", flush=True)
sys.stdin.read()
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
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    campaign = make_campaign()
    filled, costs = 0, {}
    for size in (each for each in SIZES if each <= MOST):
        run(FILL, a=filled + 1, b=size, campaign=campaign.pk)
        filled = size
        run("ANALYZE campaigns_app_enrollment")
        costs[size] = claim_cost()
    print(json.dumps({"bench": "campaign claim", "batch": BATCH, "ms_median_worst": costs}))
    which = {"campaign": campaign.pk}
    step = campaign.steps.get(position=0).pk
    an_hour_ago = timezone.now() - dt.timedelta(hours=1)
    run(SET_APART, who="before", n=min(SENT, filled // 2), **which)
    run(WRITE, who="before", step=step, status="sent", sent_at=an_hour_ago, **which)
    run("UPDATE campaigns_app_enrollment SET position = 1 WHERE claimed_by = 'before'")
    run("VACUUM ANALYZE")
    with mailserver():
        for name, gap in (("all at once", 0.0), (f"{RATE} a second", 1 / RATE)):
            run(SET_APART, who=name, n=DUE, **which)
            run(DUE_AT, who=name, gap=gap)
            run(WRITE, who=name, step=step, status="composed", sent_at=None, **which)
            print(json.dumps({"bench": "due to sent", "due": name, "rows": filled, **lag()}), flush=True)
    connection.close()


def make_campaign() -> Any:
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


@contextmanager
def mailserver() -> Iterator[None]:
    """A real SMTP server in a process of its own, so that it costs the claim loop nothing."""
    from django.conf import settings

    from tests.integration.conftest import free_port

    port = free_port()
    command = [sys.executable, "-c", MAILSERVER, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
        try:
            yield
        finally:
            server.terminate()


def lag() -> dict[str, Any]:
    """Seconds from due to sent over SMTP, with one claim loop, until all that is composed is sent."""
    from django.db import connection

    from campaigns_app.loop import run_claim_loop

    stop = threading.Event()
    loop = threading.Thread(target=run_claim_loop, args=(stop,))
    began, cpu = time.time(), time.process_time()
    loop.start()
    try:
        while waiting():
            time.sleep(0.5)
    finally:
        stop.set()
        loop.join()
    took, cpu = time.time() - began, time.process_time() - cpu
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.99) WITHIN GROUP (ORDER BY s) "
            "FROM (SELECT extract(epoch FROM sent_at - composed_at) AS s FROM campaigns_app_touch "
            "WHERE sent_at > to_timestamp(%s)) t",
            [began],
        )
        p50, p99 = cursor.fetchone()
    return {
        "mails": DUE,
        "lag_s_p50": round(float(p50), 2),
        "lag_s_p99": round(float(p99), 2),
        "sends_per_s": round(DUE / took, 1),
        "cpu_ms_per_send": round(cpu / DUE * 1000, 1),
    }


def waiting() -> bool:
    from campaigns_app.models import Touch

    return Touch.objects.exclude(status=Touch.Status.SENT).exists()


if __name__ == "__main__":
    main()
