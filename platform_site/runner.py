"""Runs the processes of a Procfile and brings back what dies. Standard library only.

Each child is the leader of its own session, so that a terminal's Ctrl-C reaches the runner alone, and is killed by the
kernel when the runner dies, however it dies (Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shlex
import signal
import sys
import time
from dataclasses import dataclass, field
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BACK_OFF_S = (0.4, 0.8, 1.6, 3.0)
HEALTHY_AFTER_S = 10.0
GRACE_S = 10.0
LONGEST_LINE = 64 * 1024
PR_SET_PDEATHSIG = 1

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a Procfile, with the environment of its process."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)


def read_procfile(path: Path) -> dict[str, str]:
    """Name → command line, in order; comments and empty lines are skipped. Raises `ValueError` on another line."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or match[1] in found:
            raise ValueError(f"{path.name}:{number}: not `name: command`, or a name given twice")
        found[match[1]] = match[2]
    return found


def command(name: str, line: str, environment: Mapping[str, str]) -> Command:
    """Split a command line as a shell would and put `$VARIABLES` in; no shell runs. `KeyError` names a missing one."""
    words = tuple(Template(word).substitute(environment) for word in shlex.split(line))
    return Command(name, words, environment)


def die_with_parent(sign: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends; nothing where there is no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sign)


class Runner:
    """Keeps commands running until `stop`, printing their lines and one line for each exit."""

    def __init__(self, commands: list[Command], cwd: Path, say: Callable[[str, str], None]) -> None:
        self._commands = commands
        self._cwd = cwd
        self._say = say
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End every child; `run` returns when all are gone."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def run(self) -> None:
        await asyncio.gather(*(self._keep(item) for item in self._commands))

    async def once(self, item: Command) -> int:
        """Run one command to its end (or to `stop`); returns its exit code."""
        process = await self._start(item)
        await self._ended(item, process)
        return process.returncode or 0

    async def _keep(self, item: Command) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                process = await self._start(item)
            except OSError as error:
                reason = f"cannot start: {error}"
            else:
                await self._ended(item, process)
                reason = _exit_reason(process.returncode)
            lived = time.monotonic() - started
            if self._stopping.is_set():
                self._say(item.name, reason)
                return
            failures = 1 if lived >= HEALTHY_AFTER_S else failures + 1
            pause = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1]
            self._say(item.name, f"{reason} after {lived:.1f} s, again in {pause} s")
            await self._pause(pause)

    async def _start(self, item: Command) -> asyncio.subprocess.Process:
        parent = os.getpid()

        def in_child() -> None:
            die_with_parent()
            if os.getppid() != parent:  # the runner died before the kernel was asked
                os._exit(1)

        return await asyncio.create_subprocess_exec(
            *item.arguments,
            cwd=self._cwd,
            env=dict(item.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=in_child,
        )

    async def _ended(self, item: Command, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of a process and its group, printing its lines; begin the end when `stop` was called."""
        output = asyncio.create_task(self._print(item.name, process))
        exit_task = asyncio.create_task(process.wait())
        stop_task = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((exit_task, stop_task), return_when=asyncio.FIRST_COMPLETED)
        if not exit_task.done():
            _signal_group(process.pid, signal.SIGTERM)
            await asyncio.wait((exit_task,), timeout=GRACE_S)
        _signal_group(process.pid, signal.SIGKILL)  # the stubborn leader, or what a dead one left behind
        await exit_task
        stop_task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(output, 1)

    async def _print(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        rest = b""
        while chunk := await process.stdout.read(LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(name, line.decode(errors="replace"))
        if rest:
            self._say(name, rest.decode(errors="replace"))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _signal_group(group: int, sign: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, sign)


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with {code}"
