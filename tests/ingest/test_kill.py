"""`kill -9` of ingest at random moments under load: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .conftest import INGEST_KEY, Server

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

pytestmark = pytest.mark.processes
ROUNDS = int(os.environ.get("INGEST_KILLS", "3"))
SENDERS = 4


def batch() -> tuple[list[str], bytes]:
    trace = str(uuid.uuid4())
    ids = [trace] + [str(uuid.uuid4()) for _ in range(9)]
    base = {"trace_id": trace, "name": "n", "run_type": "chain", "start_time": "2026-11-22T10:00:00Z"}
    runs = [{**base, "id": i, "parent_run_id": None if i == trace else trace} for i in ids]
    return ids, json.dumps({"post": runs}).encode()


def send_until(stop: threading.Event, server: Server, acknowledged: list[str]) -> None:
    """Send batches, each again and again until it is taken, as the SDKs do."""
    headers = {"x-api-key": INGEST_KEY}
    while not stop.is_set():
        ids, body = batch()
        while True:
            try:
                answer = httpx.post(
                    f"{server.langsmith}/runs/batch", content=body, headers=headers, timeout=10
                )
                if answer.status_code == 202:
                    acknowledged.extend(ids)
                    break
            except httpx.HTTPError:
                pass
            if stop.is_set():
                return
            time.sleep(0.02)


def test_nothing_acknowledged_is_lost_or_doubled(
    store_url: str, data_dir: Path, cur: psycopg.Cursor[Any]
) -> None:
    server = Server(store_url, data_dir).start()
    stop = threading.Event()
    acknowledged: list[list[str]] = [[] for _ in range(SENDERS)]
    threads = [threading.Thread(target=send_until, args=(stop, server, mine)) for mine in acknowledged]
    try:
        for thread in threads:
            thread.start()
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.1, 0.6))  # the moment of the kill is the variable of this test
            server.kill()
            server.start()
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
        server.stop()
    sent = [run for mine in acknowledged for run in mine]
    assert len(sent) > 100, "too little load to say anything"
    cur.execute("SELECT run_id::text, count(*) FROM traces_app_runpart GROUP BY 1")
    stored = dict(cur.fetchall())
    assert not set(sent) - set(stored), "acknowledged and lost"
    assert set(stored.values()) == {1}, "doubled"
    cur.execute("SELECT sum(runs) FROM traces_app_tracehead")
    assert cur.fetchone() == (len(stored),), "the heads count what is stored"
    cur.execute("SELECT count(*) FROM traces_app_tracehead WHERE runs <> 10")
    assert cur.fetchone() == (0,), "a request is stored whole or not at all"
