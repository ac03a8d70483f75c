from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from platform_site import up
from platform_site.env import Environment
from platform_site.local_secrets import NAMES, local_secrets
from platform_site.ports import POOLS, pool_ports
from platform_site.runner import command, read_procfile

REPOSITORY = Path(__file__).resolve().parents[2]


def base(data_dir: Path, environ: dict[str, str] | None = None) -> dict[str, str]:
    env = Environment.read({"PLATFORM_DATA_DIR": str(data_dir), "PORT": "8123"})
    return up.base_environment(env, "postgresql://here/x", environ or {})


def test_ports_are_kept_and_a_taken_one_is_chosen_anew(data_dir: Path) -> None:
    first = pool_ports(data_dir)
    assert len(set(first.values())) == len(POOLS)
    assert pool_ports(data_dir) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["EMAIL"]))
        other.listen()
        second = pool_ports(data_dir)
    assert second["EMAIL"] != first["EMAIL"]
    assert {**second, "EMAIL": 0} == {**first, "EMAIL": 0}
    assert json.loads((data_dir / "ports.json").read_text()) == second


def test_secrets_are_made_once_and_private(data_dir: Path) -> None:
    made = local_secrets(data_dir)
    assert set(made) == set(NAMES)
    assert len(set(made.values())) == len(NAMES)
    assert local_secrets(data_dir) == made
    assert (data_dir / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_every_process_of_the_procfile_has_its_variables(data_dir: Path) -> None:
    secrets = local_secrets(data_dir)
    lines = read_procfile(REPOSITORY / "Procfile")
    assert list(lines) == ["web", "jobs", *(f"pool-{pool.lower()}" for pool in POOLS)]
    for name, line in lines.items():
        assert "$" not in " ".join(
            command(name, line, up.process_environment(name, base(data_dir), secrets)).arguments
        )


def test_pools_trace_to_the_platform_under_a_minted_key(data_dir: Path) -> None:
    secrets = local_secrets(data_dir)
    pool = up.process_environment("pool-email", base(data_dir), secrets)
    assert pool["LANGSMITH_ENDPOINT"] == "http://127.0.0.1:8123/langsmith"
    assert pool["LANGSMITH_API_KEY"] == secrets["INGEST_KEY"]
    assert pool["PLATFORM_API_KEY"] == secrets["RUNS_KEY"]
    web = up.process_environment("web", base(data_dir), secrets)
    assert "LANGSMITH_TRACING" not in web


def test_tracing_and_pool_secrets_that_are_set_win(data_dir: Path) -> None:
    given = {"LANGSMITH_TRACING": "false", "EMAIL_WORKER_SECRET": "given"}
    pool = up.process_environment("pool-email", base(data_dir, given), local_secrets(data_dir))
    assert (pool["LANGSMITH_TRACING"], pool["EMAIL_WORKER_SECRET"]) == ("false", "given")
    assert "LANGSMITH_API_KEY" not in pool


def test_second_runner_on_one_data_folder_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "STOPPING_S", 0)
    with up._single(data_dir), pytest.raises(up.AlreadyUpError, match="PLATFORM_DATA_DIR"):
        up._single(data_dir)
