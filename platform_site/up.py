"""`make up` and `make demo`: database, bootstrap, then every process of the Procfile until Ctrl-C or SIGTERM.

Standard library only: it must start before anything else can.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from platform_site import env as environment
from platform_site import pg
from platform_site.local_secrets import local_secrets
from platform_site.ports import is_free, pool_ports
from platform_site.runner import Runner, command, die_with_parent, read_procfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platform_site.env import Environment

NAME_WIDTH = 14
READY_TIMEOUT_S = 120
DATABASE_LOOK_S = 1.0
#: The database of a runner that was killed is stopped by then.
STOPPING_S = 3.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="up", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="send the demonstration's actions once it is up")
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started this ends"
    )
    options = parser.parse_args(arguments)
    if options.with_parent:
        die_with_parent(signal.SIGTERM)
    try:
        env = environment.read()
        with _single(env.data_dir):
            return _serve(env, demo=options.demo)
    except (environment.EnvironmentVariableError, pg.EmbeddedPostgresError, AlreadyUpError) as error:
        say("up", str(error))
        return 1


class AlreadyUpError(RuntimeError):
    """Something holds what this checkout needs; the message says what and what to do."""


def _single(data_dir: Path) -> TextIO:
    """Hold the data folder's lock: two runners on one folder would fight over its ports and rows."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = (data_dir / "up.lock").open("a")
    deadline = time.monotonic() + STOPPING_S
    while not _locked(handle):
        if time.monotonic() > deadline:
            handle.close()
            raise AlreadyUpError(f"a platform runs on {data_dir} already: end it, or set PLATFORM_DATA_DIR")
        time.sleep(0.1)
    return handle


def _locked(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serve(env: Environment, *, demo: bool) -> int:
    if not is_free(env.port):
        raise AlreadyUpError(f"127.0.0.1:{env.port} is taken: set PORT to a free one")
    with nullcontext(env.database_url) if env.database_url else pg.serving(env.data_dir) as database_url:
        return asyncio.run(_run(env, base_environment(env, database_url, os.environ, quiet=demo), demo=demo))


def base_environment(
    env: Environment, database_url: str, environ: Mapping[str, str], *, quiet: bool = False
) -> dict[str, str]:
    """What every process gets: addresses, data folder, ports and pool secrets; what is set already wins."""
    made = local_secrets(env.data_dir)
    secrets = {name: value for name, value in made.items() if name.endswith("_WORKER_SECRET")}
    ports = {f"{pool}_POOL_PORT": str(port) for pool, port in pool_ports(env.data_dir).items()}
    return {
        "LOG_FORMAT": "text",
        "LOG_LEVEL": "WARNING" if quiet else "INFO",  # a demonstration is read by eyes
        **secrets,
        **environ,
        **ports,
        "DATABASE_URL": database_url,
        "PORT": str(env.port),
        "PLATFORM_URL": env.base_url,
        "PLATFORM_DATA_DIR": str(env.data_dir),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def process_environment(name: str, base: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """`base` for one process: all but the bootstrap call graphs under their own key.

    Unless told otherwise, pools trace to the platform and feedback is delivered there.
    """
    own = {**base, "PLATFORM_API_KEY": secrets["RUNS_KEY"]}
    own.pop("PLATFORM_API_KEY_FILE", None)
    if "LANGSMITH_TRACING" in base or "LANGSMITH_ENDPOINT" in base:
        return own
    own |= {
        "LANGSMITH_ENDPOINT": f"{base['PLATFORM_URL']}/langsmith",
        "LANGSMITH_API_KEY": secrets["INGEST_KEY"],
        "LANGSMITH_PROJECT": base.get("LANGSMITH_PROJECT", "agentic-sales"),
    }
    if name.startswith("pool-"):
        own["LANGSMITH_TRACING"] = "true"
    return own


async def _run(env: Environment, base: dict[str, str], *, demo: bool) -> int:
    secrets = local_secrets(env.data_dir)
    lines = read_procfile(environment.REPOSITORY / "Procfile")
    commands = [command(name, line, process_environment(name, base, secrets)) for name, line in lines.items()]
    runner = Runner(commands, environment.REPOSITORY, say)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, runner.stop)
    begun = time.monotonic()
    codes = await asyncio.gather(
        runner.once(command("bootstrap", "python manage.py bootstrap", base)),
        runner.once(command("pool-tables", "python -m fleet.worker.setup", base)),
    )
    if runner.stopping:
        return 0
    if any(codes):
        say("up", "the preparation above failed; nothing was started")
        return 1
    beside = [asyncio.create_task(_greet(env, runner, base, begun, demo=demo))]
    if not env.database_url:
        beside.append(asyncio.create_task(keep_database(env.data_dir)))
    await runner.run()
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    return 0


async def keep_database(data_dir: Path) -> None:
    """Start the embedded server again whenever it stops answering: it has no supervisor of its own."""
    while True:
        await asyncio.sleep(DATABASE_LOOK_S)
        if await asyncio.to_thread(pg.running, data_dir):
            continue
        say("postgres", "does not answer; starting it again")
        begun = time.monotonic()
        try:
            await asyncio.to_thread(pg.ensure, data_dir)
        except pg.EmbeddedPostgresError as error:
            say("postgres", str(error))
        else:
            say("postgres", f"back after {time.monotonic() - begun:.1f} s")


async def _greet(env: Environment, runner: Runner, base: dict[str, str], begun: float, *, demo: bool) -> None:
    """Say so when the platform is ready, then send the demonstration's actions."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not await _ok(env.port):
        if time.monotonic() > deadline:
            say("up", f"/ok is not ready after {READY_TIMEOUT_S} s; the lines above say why. Still trying.")
            deadline = float("inf")
        await asyncio.sleep(0.1)
    say("up", f"ready after {time.monotonic() - begun:.1f} s on {env.base_url}")
    if demo:
        code = await runner.once(command("demo", "python -m platform_site.demo", base))
        if code != 0 and not runner.stopping:
            say("demo", f"failed with {code}; the platform keeps serving")
    else:
        say("up", f"user admin, password in {env.data_dir}/admin-password, API key in {env.data_dir}/api-key")


async def _ok(port: int) -> bool:
    """Whether `GET /ok` answers 200."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /ok HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def say(name: str, line: str) -> None:
    """Print one line of a process. A reader that went away (`| head`) must not end the platform."""
    with suppress(BrokenPipeError):
        text = line if name == "demo" else f"{time.strftime('%H:%M:%S')} {name:<{NAME_WIDTH}} | {line}"
        print(text, flush=True)  # noqa: T201 - this is the runner's output


if __name__ == "__main__":
    sys.exit(main())
