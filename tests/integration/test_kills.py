"""`kill -9` of what `make up` keeps running, seen by callers of the dispatcher; the runner brings it back."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client

from tests.integration.conftest import KEY, Platform, eventually

pytestmark = pytest.mark.processes
BACK_WITHIN_S = 60  # on a busy machine; the runner itself pauses for less than a second


def pids_on(port: int) -> list[int]:
    """The processes that were told to listen on `port`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if any(pair == (b"--port", b"%d" % port) for pair in pairwise(words)):
                found.append(int(folder.name))
    return found


def kill(port: int) -> int:
    """Kill the one process of the platform on this port; returns its id."""
    (pid,) = pids_on(port)
    os.kill(pid, signal.SIGKILL)
    return pid


def pool_port(platform: Platform, pool: str) -> int:
    return int(json.loads((platform.data_dir / "ports.json").read_text())[pool])


def works(api: httpx.Client, pool: str) -> bool:
    run = {"assistant_id": f"probe_{pool.lower()}", "input": {"x": 1}}
    answer = api.post("/runs/wait", json=run)
    return answer.status_code == 200 and answer.json() == {"x": 2, "pool": pool}


def at_work(api: httpx.Client, pool: str) -> bool:
    return bool(api.get("/ok").json()["pools"][pool]["active"])


@pytest.mark.parametrize("way", ["wait", "stream"])
def test_a_pool_killed_in_a_run_is_told_inside_200(platform: Platform, way: str) -> None:
    answers: list[httpx.Response] = []

    def call() -> None:
        with platform.api() as own:
            run = {"assistant_id": "probe_discovery", "input": {"sleep": 60}}
            answers.append(own.post(f"/runs/{way}", json=run, timeout=60))

    caller = threading.Thread(target=call)
    with platform.api() as api:
        assert works(api, "DISCOVERY")
        caller.start()
        eventually(lambda: at_work(api, "DISCOVERY"))
        time.sleep(0.3)  # on its way into the worker; wherever it is, the answer must be the same
        dead = kill(pool_port(platform, "DISCOVERY"))
        caller.join(timeout=30)
        assert works(api, "EMAIL"), "another pool noticed"
        (answer,) = answers
        assert answer.status_code == 200
        if way == "wait":
            problem = answer.json()["__error__"]
        else:
            last = answer.text.strip().split("\r\n\r\n")[-1]
            assert last.strip().startswith("event: error"), answer.text
            problem = json.loads(last.split("data: ", 1)[1])
        assert (problem["error"], problem["kind"]) == ("BackendError", "backend")
        eventually(lambda: works(api, "DISCOVERY"), within=BACK_WITHIN_S)
        assert dead not in pids_on(pool_port(platform, "DISCOVERY"))


def test_a_background_run_outlives_its_worker_and_ends_once(platform: Platform) -> None:
    with get_sync_client(url=platform.url, api_key=KEY) as given:
        client: Any = given
        thread = client.threads.create()["thread_id"]
        run = client.runs.create(thread, "probe_classify", input={"x": 1, "sleep": 2})["run_id"]
        eventually(lambda: client.runs.get(thread, run)["status"] == "running")
        kill(pool_port(platform, "CLASSIFY"))

        def ended() -> bool:
            with platform.api() as api:
                answer = api.get(f"/threads/{thread}/runs/{run}")
                return answer.status_code == 200 and answer.json()["status"] not in ("pending", "running")

        eventually(ended, within=BACK_WITHIN_S + 30)
        assert client.runs.join(thread, run) == {"x": 2, "pool": "CLASSIFY"}
        assert [(each["run_id"], each["status"]) for each in client.runs.list(thread)] == [(run, "success")]
        assert client.threads.get(thread)["status"] == "idle"
        made = [each for each in client.threads.get_history(thread, limit=50) if each["values"].get("x") == 2]
        assert len(made) == 1, "the graph wrote its result twice"
        assert client.runs.wait(thread, "probe_classify", input={"x": 5})["x"] == 6


def test_sessions_threads_and_runs_outlive_the_web_process(platform: Platform) -> None:
    with platform.browser() as browser, get_sync_client(url=platform.url, api_key=KEY) as given:
        client: Any = given
        thread = client.threads.create()["thread_id"]
        run = client.runs.create(thread, "probe_email", input={"x": 1, "sleep": 1})["run_id"]
        kill(int(platform.url.rsplit(":", 1)[1]))

        def page() -> httpx.Response | None:
            try:
                return browser.get("/traces/", timeout=20)
            except httpx.TransportError:
                return None

        shown = eventually(page, within=BACK_WITHIN_S)
        assert shown.status_code == 200
        assert "/admin/login" not in str(shown.url), "the session was lost"
        assert client.runs.join(thread, run) == {"x": 2, "pool": "EMAIL"}
        assert client.threads.get_state(thread)["values"]["x"] == 2
        with platform.api() as api:
            for pool in ("CORE", "EMAIL", "CLASSIFY", "DISCOVERY"):
                eventually(lambda pool=pool: works(api, pool), within=20)  # type: ignore[misc]
