"""Ingest behind the real Python SDK of LangSmith: is the sender at its end, or are we?

    python bench/sdk_bench.py [--runs 15000] [--workers 1]

One process with an unmodified `langsmith.Client` (batches, multipart, zstd, as it is by default) makes traces of 15 runs
of the standard load's size as fast as it can, another is our ingest. Two ways: functions under `@traceable` that do
nothing else, and runs given whole to `Client.create_run`, which costs the SDK least. The time runs until the client has
flushed; a run counts when it can be read from the database. Prints one line of JSON for each way.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402

from bench.ingest_bench import (  # noqa: E402
    DATABASE,
    KEY,
    SPANS_A_TRACE,
    cpu_seconds,
    ours,
    peak_mb,
    serving,
    session,
    settle,
    words,
)
from bench.load import free_port, untraced  # noqa: E402
from platform_site import pg  # noqa: E402

PROJECT = "sdk"
METADATA = {"langgraph.assistant_id": "email_compose", "agentic.pool": "EMAIL"}
OF_LLM = {"ls_model_name": "gpt-4o-mini", "ls_provider": "openai"}
USAGE = {"input_tokens": 900, "output_tokens": 120, "total_tokens": 1020}


class Texts:
    """What the runs say; made before, so that the sender has nothing to do but send."""

    def __init__(self) -> None:
        self._rng = random.Random(1)
        self._texts = [words(self._rng, 1050) for _ in range(400)]
        self._systems = [words(self._rng, 700) for _ in range(100)]

    def system(self) -> str:
        return self._rng.choice(self._systems)

    def messages(self, system: str) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": self._rng.choice(self._texts)},
        ]

    def answer(self, *, llm: bool) -> dict[str, Any]:
        said = {"content": self._rng.choice(self._texts)[:850]}
        return {**said, "usage_metadata": USAGE} if llm else said


def send(url: str, way: str, runs: int) -> None:
    """Be the sender, and say how long it took."""
    from langsmith import Client, tracing_context

    client, texts = Client(api_url=url, api_key=KEY), Texts()
    action = WAYS[way](client, texts)
    client.create_run("warm", {}, "chain", project_name=PROJECT)
    client.flush()
    began, spent = time.perf_counter(), _own_cpu()
    with tracing_context(enabled=True):
        for _ in range(runs // SPANS_A_TRACE):
            action(texts.system())
    made = time.perf_counter() - began
    client.flush()
    print(json.dumps({"made": made, "elapsed": time.perf_counter() - began, "cpu": _own_cpu() - spent}))


def _traced(client: Any, texts: Texts) -> Callable[[str], Any]:
    """An action whose steps are traced functions: a post and a patch a run."""
    from langsmith import traceable

    traced: Any = partial(traceable, client=client, project_name=PROJECT, name="step")

    def step(messages: list[Any]) -> dict[str, Any]:
        return texts.answer(llm=False)

    def ask(messages: list[Any]) -> dict[str, Any]:
        return texts.answer(llm=True)

    plain, llm = traced(step, metadata=METADATA), traced(ask, metadata=METADATA | OF_LLM, run_type="llm")

    def action(system: str) -> dict[str, Any]:
        for n in range(1, SPANS_A_TRACE):
            (llm if n % 3 == 2 else plain)(texts.messages(system))
        return texts.answer(llm=False)

    whole: Callable[[str], Any] = traced(action, metadata=METADATA)
    return whole


def _given_whole(client: Any, texts: Texts) -> Callable[[str], Any]:
    """The same runs, each given to the client when it is over: a post a run."""

    def action(system: str) -> None:
        root, above = uuid.uuid4(), ""
        for n in range(SPANS_A_TRACE):
            llm, run_id, now = n % 3 == 2, uuid.uuid4() if n else root, datetime.now(UTC)
            order = f"{above}{now:%Y%m%dT%H%M%S%fZ}{run_id}"
            above = above or f"{order}."
            client.create_run(
                "step",
                {"messages": texts.messages(system)},
                "llm" if llm else "chain",
                id=run_id,
                trace_id=root,
                dotted_order=order,
                parent_run_id=root if n else None,
                start_time=now,
                end_time=now,
                outputs=texts.answer(llm=llm),
                extra={"metadata": METADATA | OF_LLM if llm else METADATA},
                project_name=PROJECT,
            )

    return action


WAYS = {"traceable": _traced, "create_run": _given_whole}


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(way: str, runs: int, workers: int) -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL") or pg.ensure(ROOT / ".data")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sdk_bench") as name:
        store = ours(url, port, Path(name), workers=workers)
        with serving(store, port, Path(name)) as pid:
            settle(pid)
            spent = cpu_seconds(session(pid))
            sender = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "--send",
                    f"http://127.0.0.1:{port}/langsmith",
                    way,
                    "--runs",
                    str(runs),
                ],
                env=untraced(),
                check=True,
                capture_output=True,
                text=True,
            )
            spent, peak = cpu_seconds(session(pid)) - spent, peak_mb(pid)
    told = json.loads(sender.stdout)
    with psycopg.connect(url.replace("/postgres?", f"/{DATABASE}?")) as conn:
        found: Any = conn.execute(
            "SELECT count(DISTINCT run_id) FROM traces_app_runpart WHERE name = 'step'"
        ).fetchone()
    sent = runs // SPANS_A_TRACE * SPANS_A_TRACE
    return {
        "bench": "sdk",
        "way": way,
        "runs": sent,
        "missing": sent - int(found[0]),
        "durable_runs_s": round(sent / told["elapsed"]),
        "made_runs_s": round(sent / told["made"]),
        "sdk_cpu_ms_per_run": round(1000 * told["cpu"] / sent, 3),
        "server_cpu_ms_per_run": round(1000 * spent / sent, 3),
        "sdk_busy": round(told["cpu"] / told["elapsed"], 2),
        "server_busy": round(spent / told["elapsed"], 2),
        "rss_peak_mb": round(peak),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15_000)
    parser.add_argument("--workers", type=int, default=1, help="processes of our ingest")
    parser.add_argument(
        "--send", nargs=2, metavar=("URL", "WAY"), help="be the sender (what the bench starts)"
    )
    given = parser.parse_args()
    if given.send:
        url, way = given.send
        send(url, way, given.runs)
        return
    for way in WAYS:
        print(json.dumps(measure(way, given.runs, given.workers)), flush=True)


if __name__ == "__main__":
    main()
