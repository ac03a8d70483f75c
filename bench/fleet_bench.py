"""The four pools as they are deployed: start beside the import they cannot do without, idle memory, and a bulk job.

    .venv/bin/python -m bench.fleet_bench [--rounds 3] [--seconds 6] [--rows 1000]

The bulk job is `classify_recruitment_bulk` by the offline rules, through a dispatcher, again and again while the
EMAIL pool is called at a steady pace. What EMAIL takes then is shown beside what it takes alone, and beside a process
that has nothing to do with the platform and keeps one core busy: what a busy core costs is no effect of the bulk job.
How long the CLASSIFY worker lets a `GET /ok` wait is its loop's lag.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.dispatcher_bench import KEY, database, serve_dispatcher, write_live
from bench.load import ROOT, cpu_seconds, free_port, post, process, rss_mb, untraced, wait_ready
from bench.worker_bench import IMPORT
from contract.registry import GRAPHS
from contract.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLS = ("EMAIL", "CLASSIFY", "DISCOVERY", "CORE")
SECRET = "s" * 40
SECRETS = {f"{pool}_WORKER_SECRET": SECRET for pool in POOLS}
HOMES = {"email_compose": "EMAIL", "classify_recruitment_bulk": "CLASSIFY"}
#: What graphs would read from the outside is away.
SOURCES = ("GITHUB_API_URL", "BRAVE_API_URL", "ASHBY_API_URL", "YOUTUBE_API_URL")
#: Seconds between two calls of EMAIL, and between two looks at CLASSIFY's loop.
PACE_S, LOOK_S = 0.1, 0.01
BURN = "while True: pass"
ROWS = ROOT / "tests" / "evals" / "classify_recruitment.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    print(f"load average {os.getloadavg()[0]:.1f}")
    show_starts(options.rounds)
    show_bulk(options.rounds, options.seconds, options.rows)


# -- start and memory -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def worker(pool: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = (sys.executable, "-m", "fleet.worker", "--pool", pool, "--port", str(port))
    env = {**untraced(), **SECRETS, "DATABASE_URL": "", **dict.fromkeys(SOURCES, "http://127.0.0.1:9")}
    with process(*command, env=env, quiet=True) as pid:
        wait_ready(port, seconds=60)
        yield port, pid


def show_starts(rounds: int) -> None:
    """Each pool from its start to `GET /ok`, as a ratio to the import of `langgraph.graph` of the same round."""
    ratios: dict[str, list[tuple[float, float, float]]] = {pool: [] for pool in POOLS}
    used: dict[str, float] = {}
    for turn in range(rounds + 1):
        for pool in POOLS:
            printed = subprocess.run(
                [sys.executable, "-c", IMPORT], cwd=ROOT, env=untraced(), capture_output=True, check=True, text=True
            )  # fmt: skip
            wall, cpu = (float(one) for one in printed.stdout.split())
            began = time.perf_counter()
            with worker(pool) as (port, pid):
                took = time.perf_counter() - began
                seen = took / wall, cpu_seconds([pid]) / cpu, rss_mb([pid]) / 1.048576
                if turn == rounds:
                    asyncio.run(_run_each(pool, port))
                    used[pool] = rss_mb([pid]) / 1.048576
            if turn:  # the first of each warms the disk's cache
                ratios[pool].append(seen)
    print("from start to ready, as a ratio to importing langgraph.graph (wall, CPU), and memory")
    for pool, found in ratios.items():
        wall, cpu, idle = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"  {pool:<10} {wall:.2f}x wall  {cpu:.2f}x CPU  {idle:.0f} MiB idle, {used[pool]:.0f} MiB when each graph has run"
        )


async def _run_each(pool: str, port: int) -> None:
    """Each graph of the pool on its first example; those that call other pools find nobody there."""
    for spec in GRAPHS:
        if spec.pool == pool and not spec.assistant_id.startswith("probe"):
            await _ask(port, _run(spec.assistant_id, SHAPES[spec.input_shape]["examples"][0], SECRET))


# -- a bulk job beside other work -----------------------------------------------------------------------------


def show_bulk(rounds: int, seconds: float, rows: int) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        workers = {pool: stack.enter_context(worker(pool)) for pool in ("EMAIL", "CLASSIFY")}
        write_live(folder, {pool: port for pool, (port, _) in workers.items()}, HOMES)
        front, _ = stack.enter_context(serve_dispatcher(folder, stack.enter_context(database()), SECRETS))
        classify, pid = workers["CLASSIFY"]
        bulk = _bulk(rows)
        asyncio.run(_one_round(front, classify, 1.0, bulk))  # everything is imported
        alone, burning, beside = Round(), Round(), Round()
        for _ in range(rounds):
            asyncio.run(_one_round(front, classify, seconds, into=alone))
            with process(sys.executable, "-c", BURN):
                asyncio.run(_one_round(front, classify, seconds, into=burning))
            asyncio.run(_one_round(front, classify, seconds, bulk, into=beside))
        print(f"{rows} rows in bulk: {statistics.median(beside.jobs):.2f} s ({len(beside.jobs)} jobs), CLASSIFY then {rss_mb([pid]) / 1.048576:.0f} MiB")  # fmt: skip
        print(f"{'':<44}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
        for name, seen in (
            ("EMAIL, email_compose, alone", alone.mails),
            ("EMAIL beside a process that keeps a core busy", burning.mails),
            ("EMAIL while CLASSIFY is in bulk", beside.mails),
            ("CLASSIFY's loop, idle", alone.looks),
            ("CLASSIFY's loop, in bulk", beside.looks),
        ):
            p99 = statistics.quantiles(seen, n=100)[98]
            print(f"{name:<45}{statistics.median(seen) * 1e3:>8.1f}{p99 * 1e3:>9.1f}{max(seen) * 1e3:>9.1f}")


@dataclass
class Round:
    """Seconds of each EMAIL call, of each look at CLASSIFY's loop, and of each bulk job."""

    mails: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)


async def _one_round(
    front: int, classify: int, seconds: float, bulk: bytes = b"", into: Round | None = None
) -> None:
    seen = into or Round()
    until = time.perf_counter() + seconds
    mail = _run("email_compose", SHAPES["email_compose"]["examples"][0])
    look = b"GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    mails = asyncio.create_task(_paced(front, mail, PACE_S, until, seen.mails))
    looks = asyncio.create_task(_paced(classify, look, LOOK_S, until, seen.looks))
    answers = []
    while bulk and time.perf_counter() < until:
        took, answer = await _ask(front, bulk)
        seen.jobs.append(took)
        answers.append(answer)
    await asyncio.gather(mails, looks)
    for answer in answers:  # read when nothing is measured any more
        labelled = json.loads(answer)["results"]
        if [one["id"] for one in labelled] != [str(n) for n in range(len(labelled))] or not labelled:
            raise SystemExit(f"rows are missing: {answer[:300]!r}")


def _bulk(rows: int) -> bytes:
    texts = [json.loads(line)["input"]["text"] for line in ROWS.read_text(encoding="utf-8").splitlines()]
    given = [{"id": str(n), "text": texts[n % len(texts)]} for n in range(rows)]
    return _run("classify_recruitment_bulk", {"rows": given})


def _run(assistant: str, given: object, key: str = KEY) -> bytes:
    body = json.dumps({"assistant_id": assistant, "input": given}).encode()
    return post("/runs/wait", body, {"x-api-key": key, "connection": "close"})


async def _paced(port: int, request: bytes, every_s: float, until: float, seen: list[float]) -> None:
    """The seconds of each answer; a late answer delays the next call, so that nothing piles up."""
    while time.perf_counter() < until:
        took, _ = await _ask(port, request)
        seen.append(took)
        await asyncio.sleep(max(0.0, every_s - took))


async def _ask(port: int, request: bytes) -> tuple[float, bytes]:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    took = time.perf_counter() - began
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise SystemExit(f"refused: {answer[:300]!r}")
    if b"transfer-encoding: chunked" in head.lower():
        body = _joined(body)
    return took, body


def _joined(chunks: bytes) -> bytes:
    """The body of a chunked answer."""
    parts: list[bytes] = []
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        if not int(size, 16):
            return b"".join(parts)
        parts.append(chunks[: int(size, 16)])
        chunks = chunks[int(size, 16) + 2 :]


if __name__ == "__main__":
    main()
