"""With both tracing variables unset, no part but a worker loads a tracing library, and none makes a thread or a socket."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.worker.conftest import ROOT, clean_env

PARTS = {
    "contract": "contract.registry, contract.headers, contract.route_for",
    "sdk": "fleet.sdk, fleet.sdk.tracing",
    "dispatcher": "routing_app.dispatcher.main",
    "ingest": "traces_app.ingest.main",
    "web": "platform_site.asgi",
}
CHECK = """
import os, sys, threading
import {modules}
# opentelemetry.proto is ingest's wire format, no tracing.
loaded = [n for n in ("langsmith", "opentelemetry.sdk", "opentelemetry.trace", "opentelemetry.exporter", "langgraph")
          if n in sys.modules]
assert not loaded, loaded
assert threading.active_count() == 1, threading.enumerate()
sockets = [p for f in os.listdir("/proc/self/fd") if os.path.islink(p := f"/proc/self/fd/{{f}}")
           and os.readlink(p).startswith("socket:") and int(f) > 2]
assert not sockets, sockets
"""


@pytest.mark.processes
@pytest.mark.parametrize("part", PARTS)
def test_off_means_nothing_is_loaded(part: str) -> None:
    given = {name: os.environ[name] for name in ("DATABASE_URL", "PLATFORM_DATA_DIR") if name in os.environ}
    env = clean_env(DJANGO_SETTINGS_MODULE="platform_site.settings", **given)
    code = CHECK.format(modules=PARTS[part])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
