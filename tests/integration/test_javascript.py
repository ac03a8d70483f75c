"""The JavaScript clients, unmodified, from the registry: skipped with its reason where Node or the registry is not."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import KEY, REPOSITORY, Platform, whole_tree

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes
SOURCES = REPOSITORY / "tests" / "js"
#: Outside the tree that is committed: packages are fetched once a checkout.
HOME = REPOSITORY / ".data" / "node"
OLDEST_NODE = 20
AWAY = (
    "ENOTFOUND",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "EAI_AGAIN",
    "ENETUNREACH",
    "ERR_SOCKET_TIMEOUT",
)


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with our scripts and the packages they import."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node {version} is older than {OLDEST_NODE}")
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (HOME / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source in SOURCES.iterdir():
            shutil.copy(source, HOME / source.name)
        _install(npm)
    return HOME


def _install(npm: str) -> None:
    """Fetch what package.json names; once, as long as it names the same."""
    stamp = HOME / "installed"
    wanted = hashlib.sha256((HOME / "package.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--omit=peer"]
    done = subprocess.run(
        [npm, "install", *quiet, "--fetch-retries=1", "--fetch-timeout=20000"],
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=180,
    )
    if done.returncode and any(code in done.stderr for code in AWAY):
        pytest.skip("the npm registry cannot be reached")
    assert done.returncode == 0, done.stderr[-2000:]
    stamp.write_text(wanted)


def node(platform: Platform, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Node in `folder` as a caller of the platform that traces to it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "OTEL"))}
    environ |= {
        "PLATFORM_URL": platform.url,
        "PLATFORM_API_KEY": KEY,
        "LANGSMITH_ENDPOINT": f"{platform.url}/langsmith",
        "LANGSMITH_API_KEY": KEY,
        "LANGSMITH_PROJECT": "javascript",
    }
    return subprocess.run(
        ["node", *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=180
    )


def test_the_javascript_sdk_does_all_it_does_elsewhere(
    platform: Platform, asking: None, packages: Path
) -> None:
    done = node(platform, packages, "--test", "--test-reporter=tap", "client.test.mjs")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout


def test_a_traced_javascript_caller_is_the_root_of_one_tree(platform: Platform, packages: Path) -> None:
    done = node(platform, packages, "nest.mjs")
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["output"] == {"x": 2, "pool": "EMAIL"}
    tree = whole_tree(platform, facts["run_id"])
    nodes = {node["id"]: node for node in tree["nodes"]}
    roots = [node for node in tree["nodes"] if node["parent_id"] is None]
    assert [(root["kind"], root["name"]) for root in roots] == [("caller", "sendFollowUp")]
    pool = next(node for node in tree["nodes"] if node["kind"] == "pool")
    hop = nodes[pool["parent_id"]]
    assert (pool["assistant_id"], hop["kind"], nodes[hop["parent_id"]]["id"]) == (
        "probe_email",
        "dispatcher",
        roots[0]["id"],
    )
    by_w3c = whole_tree(platform, facts["w3c_trace_id"])
    assert {node["id"] for node in by_w3c["nodes"]} == set(nodes)


def test_the_javascript_sdk_traces_gives_feedback_and_reads_both_back(
    platform: Platform, packages: Path
) -> None:
    done = node(platform, packages, "trace.mjs")
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["runs"] == {
        "chain": ["chain", "success", 0],  # only the call itself is billed
        "model": ["llm", "success", 150],
        "tool": ["tool", "error", 0],
    }
    assert facts["feedback"] == [facts["trace_id"], "helpful", 1, "good"]
