"""Where the peers that are measured beside ours live: a virtual environment each, made once in `.data/peers`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / ".data" / "peers"
#: Peer → what is installed for it. Each keeps dependencies of its own that no other could share.
PACKAGES = {"mlflow": ("mlflow", "psycopg[binary]"), "phoenix": ("arize-phoenix",)}


def binaries(peer: str) -> Path:
    """The `bin` of a peer's environment; raises CalledProcessError when it cannot be installed."""
    folder = HOME / peer
    if not (folder / "bin" / peer).exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES[peer]]
        subprocess.run(install, check=True)
    return folder / "bin"
