"""Graphs are called through fleet.sdk: the linter refuses another way, and names the one there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RAW = {
    "httpx": 'import httpx\n\nhttpx.post("http://127.0.0.1:8000/runs/wait", json={})\n',
    "requests": 'from requests import post\n\npost("http://127.0.0.1:8000/runs/wait", json={})\n',
    "urllib": 'from urllib.request import urlopen\n\nurlopen("http://127.0.0.1:8000/runs/wait")\n',
    "langgraph_sdk": "def call() -> None:\n    from langgraph_sdk import get_client\n\n    get_client()\n",
}


def refusals(source: str, path: str) -> str:
    """What the linter says of `source`, were it the file `path`."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", path, "-"]
    return subprocess.run(command, cwd=REPOSITORY, input=source, capture_output=True, text=True).stdout


@pytest.mark.parametrize("way", RAW)
@pytest.mark.parametrize("path", ["campaigns_app/engine.py", "fleet/graphs/core/lead_pipeline.py"])
def test_a_raw_call_is_refused(way: str, path: str) -> None:
    said = refusals(RAW[way], path)
    assert "TID251" in said
    assert "fleet.sdk" in said


def test_the_sdk_itself_may_speak_http() -> None:
    assert "TID251" not in refusals(RAW["httpx"], "fleet/sdk/client.py")
