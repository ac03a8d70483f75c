"""With a real database: following publishes and keys, records, and life without it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from routing_app.propagation import LONGEST, SERVED, Serving, connection_name, read_name, this_process
from tests.dispatcher.conftest import KEY, PROBES, document, graph, route, site, until
from tests.dispatcher.database import execute, hold_row, key_row, publish_row, wired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dispatcher.conftest import Site
    from tests.dispatcher.database import Wire

EMAIL = {"assistant_id": "probe_email", "input": {"x": 1}}


def published(front: Site, version: int, **graphs: Any) -> dict[str, Any]:
    return document(
        [route("EMAIL", [front.email.url], ["probe_email"])],
        route("CORE", [front.core.url], ["probe_core"]),
        {name: graph(slug) for slug, name in PROBES.items()} | graphs,
        version,
    )


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[tuple[Wire, str]]:
    with tempfile.TemporaryDirectory(prefix="wire") as folder:
        async with wired(database_url, Path(folder)) as made:
            yield made


async def test_a_publish_and_a_revocation_are_followed_within_a_second(
    database_url: str, data_dir: Path
) -> None:
    async with site(data_dir, database_url) as front:
        await key_row(database_url, KEY, "*")
        await publish_row(database_url, published(front, 7))
        began = time.perf_counter()
        table = front.dispatcher
        await until(lambda: table.table is not None and table.table.version == 7)
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        assert time.perf_counter() - began < 1
        assert (await front.http.post("/runs/wait", json=EMAIL)).headers["x-agentic-routing-version"] == "7"
        await execute(database_url, "UPDATE registry_app_apikey SET revoked_at = now()")
        began = time.perf_counter()
        await until(lambda: len(front.dispatcher.live.keyring) == 0)
        assert time.perf_counter() - began < 1
        assert (await front.http.post("/runs/wait", json=EMAIL)).status_code == 401


async def test_who_serves_which_version_is_told_by_the_process_itself(
    database_url: str, data_dir: Path
) -> None:
    async def served() -> list[Serving]:
        names = [str(row[0]) for row in await execute(database_url, SERVED)]
        return [one for one in map(read_name, names) if one is not None]

    began = datetime.now(UTC)
    async with site(data_dir, database_url) as front:
        for version in (7, 8):
            await publish_row(database_url, published(front, version))
            async with asyncio.timeout(10):
                while (told := await served()) and told[0].version != version:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
            assert [(one.part, one.process) for one in told] == [("dispatcher", this_process())]
            assert began - timedelta(seconds=1) < told[0].since <= datetime.now(UTC)
            began = told[0].since
    assert await served() == []


def test_a_process_with_a_long_name_still_tells_its_version() -> None:
    told = Serving("dispatcher", "123@" + "h" * 80, 12345, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    name = connection_name(told)
    read = read_name(name)
    assert len(name.encode()) == LONGEST
    assert read is not None
    assert (read.version, read.since, read.part) == (told.version, told.since, told.part)
    assert told.process.startswith(read.process)
    assert read_name("live 7 99999999999999999999.0 dispatcher 1@x") is None


async def test_records_reach_the_table(database_url: str, data_dir: Path) -> None:
    async with site(data_dir, database_url) as front:
        await key_row(database_url, KEY, "*")
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        await asyncio.gather(*(front.http.post("/runs/wait", json=EMAIL) for _ in range(6)))
        await front.http.post("/runs/wait", json={"assistant_id": "nobody\x00knows", "input": {}})
        await until(lambda: front.dispatcher.recorder.written == 7)
    rows = await execute(
        database_url,
        "SELECT status, pool, run_id <> '', ended_at >= received_at FROM routing_app_dispatchrecord",
    )
    assert sorted(rows) == [(200, "EMAIL", True, True)] * 6 + [(404, "", False, True)]


async def test_a_held_breaker_is_followed_and_outlives_the_database(
    wire: tuple[Wire, str], database_url: str, data_dir: Path
) -> None:
    cable, url = wire
    async with site(data_dir, url) as front:
        await key_row(database_url, KEY, "*")
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        [replica] = front.dispatcher.pools.pools["EMAIL"].replicas
        await hold_row(database_url, "EMAIL", replica.url, "open")
        await until(lambda: replica.breaker.held == "open")
        refused = await front.http.post("/runs/wait", json=EMAIL)
        assert (refused.status_code, refused.json()["code"]) == (503, "BREAKER_OPEN")
        assert "an operator holds its breaker open" in refused.json()["detail"]
        assert (await front.http.get("/ok")).json()["pools"]["EMAIL"]["breakers"] == ["held open"]
        assert (
            await front.http.post("/runs/wait", json=EMAIL | {"assistant_id": PROBES["CORE"]})
        ).status_code == 200

        await execute(database_url, "UPDATE routing_app_breakerhold SET state = 'closed'")
        await until(lambda: replica.breaker.held == "closed")
        for _ in range(replica.breaker.THRESHOLD):
            replica.breaker.failed("planted")
        assert (await front.http.post("/runs/wait", json=EMAIL)).status_code == 200
        await execute(database_url, "UPDATE routing_app_breakerhold SET state = 'open'")
        await until(lambda: replica.breaker.held == "open")
        await cable.cut()
        await until(lambda: not front.dispatcher.live.database_up)
        front.publish(version=9)
        assert front.dispatcher.pools.pools["EMAIL"].replicas[0].breaker.held == "open"
        from routing_app.live import LiveState

        again = LiveState("", data_dir, "dispatcher")
        await again.start()
        assert [hold.url for hold in again.holds] == [replica.url]
        await cable.join()
        await execute(database_url, "UPDATE routing_app_breakerhold SET until = now() - interval '1 second'")
        await until(lambda: not front.dispatcher.live.holds)
        assert (await front.http.post("/runs/wait", json=EMAIL)).status_code == 200


async def test_stateless_runs_go_on_without_the_database(
    wire: tuple[Wire, str], database_url: str, data_dir: Path
) -> None:
    cable, url = wire
    async with site(data_dir, url) as front:
        await key_row(database_url, KEY, "*")
        await publish_row(database_url, published(front, 3))
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        await cable.cut()
        await until(lambda: not front.dispatcher.live.database_up)
        answer = await front.http.post("/runs/wait", json=EMAIL)
        assert answer.json() == {"x": 2}
        refused = await front.http.post("/threads", json={})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.json()["kind"] == "backend"
        health = (await front.http.get("/ok")).json()
        assert health["database"] == "away"
        await until(lambda: front.dispatcher.recorder.spooled == 1)
        await cable.join()
        await until(lambda: front.dispatcher.live.database_up)
        await until(lambda: not list((data_dir / "spool").glob("*.json")), 10)
    rows = await execute(database_url, "SELECT run_id FROM routing_app_dispatchrecord")
    assert rows == [(answer.headers["x-langsmith-run-id"],)]


async def test_a_database_that_answers_nothing_is_one_that_is_away(
    wire: tuple[Wire, str], database_url: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routing_app.live.ANSWER_S", 0.5)
    monkeypatch.setattr("routing_app.dispatcher.directory.ANSWER_S", 0.5)
    cable, url = wire
    async with site(data_dir, url) as front:
        await key_row(database_url, KEY, "*")
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        made = (await front.http.post("/threads", json={})).json()
        cable.flows.clear()
        refused = await front.http.get(f"/threads/{made['thread_id']}", timeout=20)
        assert (refused.status_code, refused.json()["kind"]) == (503, "backend")
        assert refused.headers["retry-after"]
        await until(lambda: not front.dispatcher.live.database_up)
        assert (await front.http.post("/runs/wait", json=EMAIL)).json() == {"x": 2}
        cable.flows.set()
        await until(lambda: front.dispatcher.live.database_up, 10)
        assert (await front.http.get(f"/threads/{made['thread_id']}")).status_code == 200


async def test_a_fresh_process_starts_from_disk(
    wire: tuple[Wire, str], database_url: str, data_dir: Path
) -> None:
    cable, url = wire
    async with site(data_dir, url) as front:
        await key_row(database_url, KEY, "*")
        await publish_row(database_url, published(front, 5))
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        live = front.dispatcher.live
        await until(lambda: live.document is not None and live.document["version"] == 5)
    await cable.cut()
    from routing_app.live import LiveState

    again = LiveState(url, data_dir, "dispatcher")
    await again.start()
    try:
        assert again.document is not None
        assert again.document["version"] == 5
        assert len(again.keyring) == 1
        assert not again.database_up
        assert (data_dir / "live" / "keys.json").stat().st_mode & 0o077 == 0
        assert KEY not in (data_dir / "live" / "keys.json").read_text()
    finally:
        await again.stop()
