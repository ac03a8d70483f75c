"""Every registered graph's first example, through a real worker process with no key, no model and no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from tests.worker.conftest import ROOT, free_port, start

SECRET = "the secret of the pool under test"
CLOSED = "http://127.0.0.1:9"
OFFLINE = ("LANGSMITH", "LANGCHAIN", "OTEL", "DATABASE_URL", "PLATFORM", "LLM_", "OPENAI", "BRAVE", "YOUTUBE", "GITHUB", "ASHBY")  # fmt: skip
LONGEST_S = 30


def environment(pool):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OFFLINE)}
    urls = dict.fromkeys(("PLATFORM_URL", "GITHUB_API_URL", "ASHBY_API_URL"), CLOSED)
    return {**kept, **urls, "PYTHONPATH": str(ROOT), f"{pool}_WORKER_SECRET": SECRET}


@pytest.mark.processes
@pytest.mark.parametrize("pool", ["EMAIL", "CLASSIFY", "DISCOVERY", "CORE"])
def test_first_example_of_every_graph_answers_soon(pool):
    port = free_port()
    command = [sys.executable, "-m", "fleet.worker", "--pool", pool, "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        server = start(pool, command, environment(pool), Path(folder) / "log", port)
        try:
            for spec in (spec for spec in GRAPHS if spec.pool == pool):
                answer, seconds = wait_for(server.url, spec)
                assert answer, spec.assistant_id
                assert "__error__" not in answer, (spec.assistant_id, answer)
                assert seconds < LONGEST_S, spec.assistant_id
        finally:
            server.process.terminate()
            try:
                server.process.wait(20)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait(10)


def wait_for(url, spec):
    body = {"assistant_id": spec.assistant_id, "input": SHAPES[spec.input_shape]["examples"][0]}
    headers = {"content-type": "application/json", "x-api-key": SECRET}
    request = urllib.request.Request(f"{url}/runs/wait", json.dumps(body).encode(), headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=LONGEST_S + 5) as response:
        return json.loads(response.read()), time.perf_counter() - began
