from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platform_site import runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.processes

HOST = """
import asyncio, os, signal, sys
from pathlib import Path
from platform_site import runner

folder = Path(sys.argv[1])
lines = runner.read_procfile(folder / "Procfile")
commands = [runner.command(name, line, os.environ) for name, line in lines.items()]

async def main():
    keeper = runner.Runner(commands, folder, lambda name, line: print(f"{name}|{line}", flush=True))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, keeper.stop)
    await keeper.run()

asyncio.run(main())
"""


class Host:
    """A runner in a process of its own, with what it printed so far."""

    def __init__(self, folder: Path, procfile: str) -> None:
        (folder / "Procfile").write_text(procfile)
        self.output = folder / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HOST, str(folder)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHON": sys.executable},
            )

    def found(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.output.read_text(), re.MULTILINE)

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        wait_until(lambda: len(self.found(pattern)) >= count, self.output)
        return self.found(pattern)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[[str], Host]]:
    hosts: list[Host] = []

    def start(procfile: str) -> Host:
        hosts.append(Host(tmp_path, procfile))
        return hosts[-1]

    yield start
    for each in hosts:
        each.process.kill()
        each.process.wait()


def wait_until(condition: Callable[[], bool], output: Path, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


SLEEPER = """sleeper: sh -c 'echo pid $$$$; exec sleep 300'\n"""


def test_dead_child_is_back_and_the_others_stay(host: Callable[[str], Host]) -> None:
    keeper = host(SLEEPER + """other: sh -c 'echo other $$$$; exec sleep 300'\n""")
    keeper.wait_for(r"^other\|other (\d+)")
    first = int(keeper.wait_for(r"^sleeper\|pid (\d+)")[0])
    os.kill(first, signal.SIGKILL)
    pids = keeper.wait_for(r"^sleeper\|pid (\d+)", count=2)
    assert int(pids[1]) != first
    assert len(keeper.found(r"^sleeper\|killed by SIGKILL after [\d.]+ s, again in 0.4 s$")) == 1
    assert len(keeper.found(r"^other\|")) == 1


def test_back_off_grows(host: Callable[[str], Host]) -> None:
    keeper = host("broken: sh -c 'exit 3'\n")
    pauses = keeper.wait_for(r"^broken\|exited with 3 after [\d.]+ s, again in ([\d.]+) s$", count=3)
    assert pauses[:3] == ["0.4", "0.8", "1.6"]


def test_sigterm_ends_children_and_grandchildren(host: Callable[[str], Host]) -> None:
    keeper = host("""parent: sh -c 'sleep 301 & echo child $$!; echo pid $$$$; wait'\n""")
    child = int(keeper.wait_for(r"^parent\|child (\d+)")[0])
    parent = int(keeper.wait_for(r"^parent\|pid (\d+)")[0])
    keeper.process.terminate()
    assert keeper.process.wait(timeout=15) == 0
    wait_until(lambda: gone(parent) and gone(child), keeper.output)


def test_child_that_ignores_sigterm_is_killed_after_the_grace(host: Callable[[str], Host]) -> None:
    keeper = host("""deaf: sh -c 'trap "" TERM; echo pid $$$$; while :; do sleep 1; done'\n""")
    deaf = int(keeper.wait_for(r"^deaf\|pid (\d+)")[0])
    begun = time.monotonic()
    keeper.process.terminate()
    assert keeper.process.wait(timeout=runner.GRACE_S + 5) == 0
    assert time.monotonic() - begun >= runner.GRACE_S - 0.5
    assert gone(deaf)


def test_kill_9_of_the_runner_leaves_no_child(host: Callable[[str], Host]) -> None:
    keeper = host(SLEEPER)
    child = int(keeper.wait_for(r"^sleeper\|pid (\d+)")[0])
    keeper.process.kill()
    keeper.process.wait()
    wait_until(lambda: gone(child), keeper.output)


def test_long_and_unended_lines_are_printed(host: Callable[[str], Host]) -> None:
    line = f"{runner.LONGEST_LINE * 2 + 7}"
    keeper = host(
        f"""loud: $PYTHON -c 'import time; print("x" * {line}); print("end", end="", flush=True)'\n"""
    )
    keeper.wait_for(r"^loud\|end$")
    assert sum(len(part) for part in keeper.found(r"^loud\|(x+)")) >= int(line)


def test_procfile_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("# comment\n\nweb: run $PORT\nnonsense\n")
    with pytest.raises(ValueError, match="Procfile:4"):
        runner.read_procfile(path)
    with pytest.raises(KeyError, match="PORT"):
        runner.command("web", "run $PORT", {})
