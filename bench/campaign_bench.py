"""What sleeping contacts cost: the claim from 10^4 to 10^6 enrollments, and the lag from due to sent. Lines of JSON.

.venv/bin/python bench/campaign_bench.py         # BENCH_DUE mails due, BENCH_ROWS the largest table, BENCH_SENT sent today
.venv/bin/python bench/campaign_bench.py whole   # BENCH_SECONDS of mails due at BENCH_RATE a second, written by graphs

The lag is measured twice for letters that are written: all due at once says what one job process manages, 28 a
second is 100,000 in an hour. `whole` starts the platform with its pools: graphs write the letters, traced, once
without a thread and once on a thread for each contact.
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
RATE = int(os.environ.get("BENCH_RATE", "28"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))
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


def main_whole() -> None:
    """From due to sent with all that is between: job process, dispatcher, pool, ingest of the trace, mail server."""
    import psycopg

    from platform_site import pg
    from tests.faults.fire import Fire
    from tests.integration.conftest import free_port

    port = free_port()
    mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(port), "EMAIL_USE_TLS": "false"}
    with tempfile.TemporaryDirectory(prefix="agentic-bench-") as folder, smtp(port):
        fire = Fire(Path(folder) / "data", free_port(), {**mail, "LANGSMITH_TRACING": "true"})
        try:
            fire.wait_until_ready(extras=False)
            with psycopg.connect(pg.url_for(fire.data_dir), autocommit=True) as to:
                for writer in ("email_compose", "campaign_sequence"):
                    figures = whole(fire, to, writer)
                    print(
                        json.dumps({"bench": "due to sent, written by", "graph": writer, **figures}),
                        flush=True,
                    )
        finally:
            fire.end()


SPREAD = """
    UPDATE campaigns_app_enrollment e SET status = 'active', due_at = o.due, created_at = o.due
    FROM (SELECT id, now() + make_interval(secs => 2 + row_number() OVER () / %(rate)s::float) AS due
          FROM campaigns_app_enrollment WHERE campaign_id = %(campaign)s) o
    WHERE o.id = e.id
"""
LAGS = """
    SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.99) WITHIN GROUP (ORDER BY s),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY s) FILTER (WHERE due > %(last)s)
    FROM (SELECT extract(epoch FROM t.sent_at - e.created_at) AS s, e.created_at AS due
          FROM campaigns_app_enrollment e JOIN campaigns_app_touch t ON t.enrollment_id = e.id
          WHERE e.campaign_id = %(campaign)s AND t.status = 'sent') sent
"""
LEFT = "SELECT count(*) FROM campaigns_app_enrollment WHERE campaign_id = %s AND status = 'active'"


def whole(fire: Any, to: Any, writer: str) -> dict[str, Any]:
    """One campaign of one mail a contact, due one after the other; the CPU time of every process by mail."""
    slug, count = writer.replace("_", "-"), RATE * SECONDS
    always = {"weekdays": list(range(7)), "window_start": "00:00", "window_end": "23:59:59"}
    step = {"delay": 0, "delay_unit": "hours"}
    sequence = {"sequence_graph": writer} if writer == "campaign_sequence" else {}
    address = "bench@northbeam.example"
    fire.call("PUT", f"/api/campaigns/mailboxes/{address}", json={"daily_limit": 1_000_000})
    made = {"name": slug, "slug": slug, "mailbox": address, "steps": [step], "daily_limit": 1_000_000}
    fire.call("POST", "/api/campaigns", json={**made, **always, **sequence})
    for begin in range(0, count, 1_000):
        people = [
            {"email": f"{slug}-{n}@example.com", "name": f"Person {n}", "facts": "opened a plant in Ghent"}
            for n in range(begin, min(begin + 1_000, count))
        ]
        fire.call("POST", f"/api/campaigns/{slug}/enrollments", json={"rows": people})
    fire.call("POST", f"/api/campaigns/{slug}/activate")
    campaign = to.execute("SELECT id FROM campaigns_app_campaign WHERE slug = %s", [slug]).fetchone()[0]
    before = cpu_by_process(fire)
    to.execute(SPREAD, {"campaign": campaign, "rate": RATE})
    ends = time.time() + SECONDS + 2
    while to.execute(LEFT, [campaign]).fetchone()[0] and time.time() < ends + 60:
        time.sleep(1.0)
    last = dt.datetime.fromtimestamp(ends - SECONDS / 4, tz=dt.UTC)
    sent, p50, p99, p50_last = to.execute(LAGS, {"campaign": campaign, "last": last}).fetchone()
    spent = {
        name: round((cpu - before.get(name, 0)) / sent * 1000, 1)
        for name, cpu in cpu_by_process(fire).items()
    }
    return {
        "mails": sent,
        "offered_per_s": RATE,
        "lag_s_p50": round(float(p50), 2),
        "lag_s_p99": round(float(p99), 2),
        "lag_s_p50_last_quarter": round(float(p50_last), 2),
        "cpu_ms_per_mail": round(sum(spent.values()), 1),
        "of_these": {name: ms for name, ms in spent.items() if ms >= 0.1},
    }


def cpu_by_process(fire: Any) -> dict[str, float]:
    """Seconds of CPU used so far by every process of the platform, PostgreSQL with all of its backends as one."""
    from tests.faults.fire import CHILDREN

    names = {**CHILDREN, "pool CORE": ("fleet.worker", "CORE")}
    used = {name: sum(map(cpu_of, fire.children(words))) for name, words in names.items()}
    postmaster = int(next(fire.data_dir.rglob("postmaster.pid")).read_text().split()[0])
    backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return {**used, "postgres": sum(map(cpu_of, [postmaster, *map(int, backends)]))}


def cpu_of(pid: int) -> float:
    """Seconds, those of ended children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


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
def smtp(port: int) -> Iterator[None]:
    """A real SMTP server in a process of its own, so that it costs the claim loop nothing."""
    command = [sys.executable, "-c", MAILSERVER, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        try:
            yield
        finally:
            server.terminate()


@contextmanager
def mailserver() -> Iterator[None]:
    """The SMTP server, as this process's own."""
    from django.conf import settings

    from tests.integration.conftest import free_port

    port = free_port()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
    with smtp(port):
        yield


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
    main_whole() if "whole" in sys.argv[1:] else main()
