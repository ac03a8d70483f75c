from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from platform_site import pg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.processes


@pytest.fixture
def folder() -> Iterator[Callable[[str], Path]]:
    """Makes data folders by name; their servers are stopped after the test."""
    made: list[Path] = []
    # Not pytest's own folder: another run of pytest would close it to the database's user.
    home = tempfile.TemporaryDirectory(prefix="pg-test-")

    def make(name: str) -> Path:
        made.append(Path(home.name) / name)
        return made[-1]

    yield make
    for path in made:
        pg.stop(path)
        short = pg.socket_folder((path / "pg").resolve())
        if short.name != "pg" and short.exists():
            short.rmdir()
    home.cleanup()


def answer(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select 42").fetchone()
    assert row is not None
    return int(row[0])


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "pg" / "postmaster.pid").read_text().split()[0])


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.parametrize("name", ["plain", "with space and 'quote", "long-" * 24 + "path"])
def test_starts_in_any_path_and_keeps_the_socket_private(folder: Callable[[str], Path], name: str) -> None:
    data_dir = folder(name)
    url = pg.ensure(data_dir)
    assert answer(url) == 42
    assert pg.ensure(data_dir) == url
    private = pg.socket_folder((data_dir / "pg").resolve())
    assert private.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(private / pg.SOCKET_NAME)) <= pg.SOCKET_PATH_LIMIT


def test_concurrent_starts_make_one_cluster(folder: Callable[[str], Path]) -> None:
    data_dir = folder("together")
    starters = [
        subprocess.Popen(
            [sys.executable, "-m", "platform_site.pg", "ensure", str(data_dir)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    urls = {starter.communicate(timeout=60)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 4
    assert len(urls) == 1
    assert answer(urls.pop().strip()) == 42


def test_recovers_after_kill_9_and_a_pid_file_that_names_a_stranger(folder: Callable[[str], Path]) -> None:
    data_dir = folder("killed")
    url = pg.ensure(data_dir)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept as select 1 as x")
    pid = postmaster(data_dir)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    assert answer(pg.ensure(data_dir)) == 42

    os.kill(postmaster(data_dir), signal.SIGKILL)
    pid_file = data_dir / "pg" / "postmaster.pid"
    text = pid_file.read_text()
    pid_file.write_text(text.replace(text.split()[0], str(os.getpid()), 1))
    with psycopg.connect(pg.ensure(data_dir)) as connection:
        assert connection.execute("select x from kept").fetchone() == (1,)


def test_stop_and_start_at_once(folder: Callable[[str], Path]) -> None:
    data_dir = folder("stopping")
    url = pg.ensure(data_dir)
    stopping = threading.Thread(target=pg.stop, args=(data_dir,))
    stopping.start()
    assert pg.ensure(data_dir) == url  # before, during or after the stop: never a half-dead server
    stopping.join()
    assert answer(pg.ensure(data_dir)) == 42
    assert pg.stop(data_dir)
    assert not pg.running(data_dir)
    assert not pg.stop(data_dir)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_server_ends_with_the_process_it_serves(
    folder: Callable[[str], Path], sign: signal.Signals
) -> None:
    data_dir = folder("served")
    script = (
        "import pathlib, signal, sys\nfrom platform_site import pg\n"
        "with pg.serving(pathlib.Path(sys.argv[1])): print('up', flush=True); signal.pause()"
    )
    server = subprocess.Popen([sys.executable, "-c", script, str(data_dir)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline() == b"up\n"
        pid = postmaster(data_dir)
        server.send_signal(sign)
        assert server.stdout.read() == b""  # the child that stops the server held it too
    server.wait(10)
    assert gone(pid)


def test_a_server_that_ran_before_stays(folder: Callable[[str], Path]) -> None:
    data_dir = folder("before")
    url = pg.ensure(data_dir)
    with pg.serving(data_dir) as same:
        assert same == url
    assert answer(url) == 42


def test_half_an_initdb_is_thrown_away(folder: Callable[[str], Path]) -> None:
    data_dir = folder("half")
    (data_dir / "pg.new").mkdir(parents=True)
    (data_dir / "pg.new" / "PG_VERSION").write_text("half")
    assert answer(pg.ensure(data_dir)) == 42


def test_socket_folder_of_someone_else_is_refused(folder: Callable[[str], Path]) -> None:
    data_dir = folder("far-" * 30)
    short = pg.socket_folder((data_dir / "pg").resolve())
    short.mkdir(mode=0o777)
    short.chmod(0o777)
    with pytest.raises(pg.EmbeddedPostgresError, match="0700"):
        pg.ensure(data_dir)
    short.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_data_of_another_user_is_named_in_a_sentence(folder: Callable[[str], Path]) -> None:
    data_dir = folder("other")
    (data_dir / "pg").mkdir(parents=True)
    os.chown(data_dir / "pg", 12345, 12345)
    with pytest.raises(pg.EmbeddedPostgresError, match="belongs to the user 12345"):
        pg.ensure(data_dir)
    (data_dir / "pg").rmdir()


def test_variable_that_names_a_server_wins(folder: Callable[[str], Path]) -> None:
    environ = {"DATABASE_URL": "postgresql://elsewhere/x"}
    assert pg.prepare_environment(environ, folder("unused")) == "postgresql://elsewhere/x"
    assert not folder("unused").exists()


def wait_until(condition: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
