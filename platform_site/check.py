"""`make check` and `make generate`: every static check in one go, slowest first, and the files that are generated."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from platform_site.env import REPOSITORY

BIN = Path(sys.executable).parent
CHECKS = {
    "types": (f"{BIN}/mypy", "."),
    "django": (sys.executable, "manage.py", "check", "--fail-level", "WARNING"),
    "migrations": (sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"),
    "generated": (sys.executable, "manage.py", "generate", "--check"),
    "imports": (f"{BIN}/lint-imports", "--no-logo"),
    "format": (f"{BIN}/ruff", "format", "--check", "."),
    "lint": (f"{BIN}/ruff", "check", "."),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the generated files instead")
    if parser.parse_args(arguments).write:
        return subprocess.run(
            [sys.executable, "manage.py", "generate"], cwd=REPOSITORY, check=False
        ).returncode
    with ThreadPoolExecutor(2) as pool:
        failed = [name for name, ok in zip(CHECKS, pool.map(_run, CHECKS), strict=True) if not ok]
    _say("all checks passed" if not failed else f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _run(name: str) -> bool:
    begun = time.monotonic()
    done = subprocess.run(CHECKS[name], cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603
    passed = done.returncode == 0
    _say(f"{'ok  ' if passed else 'FAIL'} {name} ({time.monotonic() - begun:.1f} s)")
    if not passed:
        _say((done.stdout + done.stderr).rstrip())
    return passed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
