"""Pools that fail in each of their ways: what the caller is told, and that no other pool notices."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from routing_app.dispatcher.pool import Breaker, Bulkhead
from tests.dispatcher.conftest import site, until
from tests.dispatcher.upstream import Upstream, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dispatcher.conftest import Site

EMAIL = {"assistant_id": "probe_email", "input": {"x": 1}}
CORE = {"assistant_id": "probe_core", "input": {"x": 1}}


async def wait(front: Site, body: object = EMAIL) -> httpx.Response:
    return await front.http.post("/runs/wait", json=body)


async def test_a_refused_connection_is_503_with_retry_after(front: Site) -> None:
    front.publish(version=2, email_urls=["http://127.0.0.1:9"])
    answer = await wait(front)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["kind"] == "backend"
    assert (await wait(front, CORE)).status_code == 200


@pytest.mark.parametrize(
    ("refused", "longest"), [(True, Breaker.COOLDOWN_S), (False, Breaker.LONGEST_COOLDOWN_S)]
)
def test_only_a_replica_that_accepts_is_left_alone_for_longer_and_longer(
    refused: bool, longest: float
) -> None:
    breaker = Breaker()
    for _ in range(Breaker.THRESHOLD + 8):
        breaker.entered()
        breaker.failed("no answer", refused=refused)
    assert breaker.cooldown == longest


async def test_the_breaker_opens_shows_itself_and_closes(front: Site) -> None:
    async with serving(Upstream()) as other:
        dead = other.url
    port = int(dead.rsplit(":", 1)[1])
    front.publish(version=2, email_urls=[dead])
    for _ in range(5):
        assert (await wait(front)).json()["code"] == "POOL_UNREACHABLE"
    assert (await wait(front)).json()["code"] == "BREAKER_OPEN"
    assert (await front.http.get("/ok")).json()["pools"]["EMAIL"]["breakers"] == ["open"]
    [replica] = front.dispatcher.pools.pools["EMAIL"].replicas
    async with serving(Upstream(), port):
        await until(replica.breaker.admits)
        assert (await wait(front)).status_code == 200
        assert replica.breaker.state == "closed"


@pytest.mark.parametrize("behave", ["die", "die_midway"])
async def test_a_pool_lost_during_a_wait_is_200_with_the_error_inside(front: Site, behave: str) -> None:
    front.email.behave = behave
    answer = await wait(front)
    assert answer.status_code == 200
    error = answer.json()["__error__"]
    assert error["error"] == "BackendError"
    assert error["kind"] == "backend"
    assert len(front.email.seen) == 1


@pytest.mark.parametrize("behave", ["die", "die_midway"])
async def test_a_pool_lost_during_a_stream_ends_in_an_error_event(front: Site, behave: str) -> None:
    front.email.behave = behave
    answer = await front.http.post("/runs/stream", json=EMAIL)
    assert answer.status_code == 200
    last = answer.text.strip().split("\r\n\r\n")[-1].split("\r\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["kind"] == "backend"


async def test_a_create_whose_outcome_is_unknown_is_not_retried_by_clients(front: Site) -> None:
    front.email.behave = "die"
    answer = await front.http.post("/runs", json=EMAIL)
    assert answer.status_code == 409
    assert answer.json()["code"] == "OUTCOME_UNKNOWN"


@pytest.mark.parametrize("status", [500, 503, 422])
async def test_a_pools_own_status_is_passed_on(front: Site, status: int) -> None:
    front.email.behave = f"status:{status}"
    for _ in range(8):
        answer = await wait(front)
        assert answer.status_code == status
        assert answer.json() == {"detail": "upstream says no"}


async def test_a_deadline_is_a_timeout_inside_200(data_dir: Path) -> None:
    async with site(data_dir, total_timeout_s=0.3) as front:
        front.email.behave = "hang"
        answer = await wait(front)
        assert answer.status_code == 200
        assert answer.json()["__error__"]["kind"] == "timeout"
        stream = await front.http.post("/runs/stream", json=EMAIL)
        assert '"kind":"timeout"' in stream.text
        await until(lambda: front.email.cancelled == 2)


async def test_a_full_pool_is_429_and_the_others_do_not_notice(data_dir: Path) -> None:
    async with site(data_dir, concurrency=2, queue=3, total_timeout_s=5) as front:
        front.email.behave = "hang"
        flood = [asyncio.create_task(wait(front)) for _ in range(5)]
        pool = front.dispatcher.pools.pools["EMAIL"]
        await until(lambda: pool.runs.active == 2 and len(pool.runs.waiters) == 3)
        refused = await wait(front)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        started = time.perf_counter()
        assert (await wait(front, CORE)).status_code == 200
        assert time.perf_counter() - started < 1
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        await until(lambda: pool.runs.active == 0)


async def test_callers_that_leave_a_queue_together_leave_it_clean() -> None:
    lane = Bulkhead(2, 8)
    for _ in range(2):
        await lane.acquire(1)
    waiting = [asyncio.create_task(lane.acquire(30)) for _ in range(8)]
    await until(lambda: len(lane.waiters) == 8)
    for task in waiting[:7]:
        task.cancel()
    lane.release()  # before the cancelled tasks had their turn: their waiters are passed over
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 7 + [type(None)]
    assert (lane.active, len(lane.waiters)) == (2, 0)


async def test_a_caller_that_leaves_cancels_the_run(front: Site) -> None:
    front.email.behave = "hang"
    with pytest.raises(httpx.ReadTimeout):
        await front.http.post("/runs/wait", json=EMAIL, timeout=0.2)
    await until(lambda: front.email.cancelled == 1)
    pool = front.dispatcher.pools.pools["EMAIL"]
    await until(lambda: pool.runs.active == 0 and not front.dispatcher.under_way)
    await until(lambda: front.dispatcher.recorder.spooled == 1)


async def test_another_replica_takes_what_never_reached_the_first(front: Site) -> None:
    front.publish(version=2, email_urls=["http://127.0.0.1:9", front.email.url])
    for _ in range(20):
        assert (await wait(front)).status_code == 200
    assert len(front.email.seen) == 20


async def test_a_replica_that_is_stopping_is_left_at_once_and_loses_nothing(front: Site) -> None:
    async with serving(Upstream()) as second:
        front.publish(version=2, email_urls=[front.email.url, second.url])
        front.email.behave = "leave"
        answers = await asyncio.gather(*(wait(front) for _ in range(12)))
        assert [answer.json() for answer in answers] == [{"x": 2}] * 12
        before = len(front.email.seen)
        assert (await wait(front)).status_code == 200
        assert len(front.email.seen) == before, "it was asked again"


async def test_a_pool_whose_only_replica_is_stopping_is_503(front: Site) -> None:
    front.email.behave = "leave"
    answer = await wait(front)
    assert (answer.status_code, answer.json()["kind"]) == (503, "backend")
    assert int(answer.headers["retry-after"]) >= 1
    assert "stopping" in answer.json()["detail"]


async def test_the_least_loaded_replica_is_chosen(front: Site) -> None:
    async with serving(Upstream()) as second:
        front.publish(version=2, email_urls=[front.email.url, second.url])
        front.email.behave = second.behave = "slow"
        await asyncio.gather(*(wait(front) for _ in range(8)))
        assert len(front.email.seen) == len(second.seen) == 4


async def test_a_stop_waits_for_what_is_in_flight(front: Site) -> None:
    front.email.behave = "slow"
    running = asyncio.create_task(wait(front))
    await until(lambda: front.email.seen)
    await front.dispatcher.stop()
    assert (await running).json() == {"x": 2}
    assert (await wait(front)).status_code == 503
