"""Ports of the pools of a checkout: free ones, chosen once, kept in `ports.json`. Standard library only."""

from __future__ import annotations

import json
import random
import socket
from typing import TYPE_CHECKING

from platform_site.local_secrets import write_private

if TYPE_CHECKING:
    from pathlib import Path

POOLS = ("CORE", "EMAIL", "CLASSIFY", "DISCOVERY")
# Below the range from which the kernel takes ports for outgoing connections, so that none steals a restarting pool's.
CANDIDATES = range(20_000, 32_000)


def pool_ports(data_dir: Path) -> dict[str, int]:
    """Pool slug → port on 127.0.0.1; one that something else listens on is chosen anew."""
    kept = kept_ports(data_dir)
    chosen: dict[str, int] = {}
    for pool in POOLS:
        port = kept.get(pool)
        if port is None or port in chosen.values() or not is_free(port):
            port = _free_port(set(chosen.values()) | set(kept.values()))
        chosen[pool] = port
    if chosen != kept:
        write_private(data_dir / "ports.json", json.dumps(chosen, indent=1))
    return chosen


def kept_ports(data_dir: Path) -> dict[str, int]:
    """The ports chosen last; a running platform listens on them."""
    path = data_dir / "ports.json"
    return json.loads(path.read_text()) if path.exists() else {}


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(taken: set[int]) -> int:
    for port in random.sample(CANDIDATES, 200):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port between 20000 and 32000 on 127.0.0.1")
