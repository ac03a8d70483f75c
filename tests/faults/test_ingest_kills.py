"""`kill -9` of ingest, of PostgreSQL and of both at random moments under load: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from platform_site import pg
from tests.ingest.conftest import INGEST_KEY, Server, add_key

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes
#: FAULTS_KILLS=20 says it thoroughly; a run of the whole suite takes a slice.
ROUNDS = int(os.environ.get("FAULTS_KILLS") or "3")
SENDERS = 4
RUNS = 10
KINDS = ("ingest", "postgres", "both")


@pytest.fixture
def cluster() -> Iterator[Path]:
    """A data folder with a migrated PostgreSQL of its own, so that it can be killed."""
    with tempfile.TemporaryDirectory(prefix="kills") as name:
        folder = Path(name) / "data"
        url = pg.ensure(folder)
        env = {**os.environ, "DATABASE_URL": url, "PLATFORM_DATA_DIR": str(folder)}
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=Path(__file__).parents[2], env=env, check=True, timeout=300)
        add_key(url, INGEST_KEY, "ingest read")
        try:
            yield folder
        finally:
            pg.stop(folder)


def batch() -> tuple[list[str], bytes]:
    trace = str(uuid.uuid4())
    ids = [trace] + [str(uuid.uuid4()) for _ in range(RUNS - 1)]
    base = {"trace_id": trace, "name": "n", "run_type": "chain", "start_time": "2026-11-22T10:00:00Z"}
    runs = [{**base, "id": i, "parent_run_id": None if i == trace else trace} for i in ids]
    return ids, json.dumps({"post": runs}).encode()


def send_until(stop: threading.Event, server: Server, acknowledged: list[str]) -> None:
    """Send batches, each again and again until it is taken, as the SDKs do."""
    with httpx.Client(headers={"x-api-key": INGEST_KEY}, timeout=10) as client:
        while not stop.is_set():
            ids, body = batch()
            while not stop.is_set():
                try:
                    answer = client.post(f"{server.langsmith}/runs/batch", content=body)
                except httpx.HTTPError:
                    time.sleep(0.02)  # a resend waits, as the SDKs' does
                    continue
                assert answer.status_code in {202, 429, 503}, answer.text
                if answer.status_code == 202:
                    acknowledged.extend(ids)
                    break


def kill_postgres(folder: Path) -> None:
    """Kill the postmaster; the others of its cluster end by themselves. Then start it again."""
    postmaster = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    pg.ensure(folder)


def test_nothing_acknowledged_is_lost_or_doubled(cluster: Path) -> None:
    url = pg.url_for(cluster)
    server = Server(url, cluster).start()
    stop = threading.Event()
    acknowledged: list[list[str]] = [[] for _ in range(SENDERS)]
    threads = [threading.Thread(target=send_until, args=(stop, server, mine)) for mine in acknowledged]
    try:
        for thread in threads:
            thread.start()
        for number in range(ROUNDS):
            time.sleep(random.uniform(0.1, 0.8))  # the moment of the kill is the variable of this test
            kind = KINDS[number % len(KINDS)]
            if kind != "postgres":
                server.kill()
            if kind != "ingest":
                kill_postgres(cluster)
            if kind != "postgres":
                server.start()
        before = sum(map(len, acknowledged))
        deadline = time.monotonic() + 30
        while sum(map(len, acknowledged)) == before:
            assert time.monotonic() < deadline, "nothing is taken after the last kill"
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
        server.stop()
    check(url, [run for mine in acknowledged for run in mine])


def check(url: str, sent: list[str]) -> None:
    """Hold what is stored against what was acknowledged."""
    with psycopg.connect(url) as conn:
        stored: dict[str, int] = dict(
            conn.execute("SELECT run_id::text, count(*) FROM traces_app_runpart GROUP BY 1").fetchall()
        )
        total = conn.execute("SELECT coalesce(sum(runs), 0) FROM traces_app_tracehead").fetchone()
        torn = conn.execute("SELECT count(*) FROM traces_app_tracehead WHERE runs <> %s", (RUNS,)).fetchone()
    print(f"{ROUNDS} kills, {len(sent)} acknowledged, {len(stored)} stored")
    assert len(sent) > 100, "too little load to say anything"
    assert not set(sent) - set(stored), "acknowledged and lost"
    assert set(stored.values()) == {1}, "doubled"
    assert total == (len(stored),), "the heads count what is stored"
    assert torn == (0,), "a request is stored whole or not at all"
