from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from fleet.kit import robots, ssrf
from fleet.kit.http import Source, SourceError, connect
from fleet.kit.ssrf import UnsafeAddress, is_public, resolve_public
from fleet.kit.website import read_page

if TYPE_CHECKING:
    from collections.abc import Iterator


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_safe_method_is_retried_until_it_answers(loopback):
    answers: Iterator[tuple[int, dict[str, str], object]] = iter(
        [(502, {}, b""), (502, {}, b""), (200, {}, {"ok": True})]
    )
    service = loopback(lambda asked: next(answers))
    async with connect(Source("thing", service.base_url)) as session:
        assert await session.get_json("/x", page=2) == {"ok": True}
    assert [asked.query for asked in service.asked] == [{"page": "2"}] * 3


async def test_post_is_not_repeated_unless_it_is_said_to_be_safe(loopback):
    service = loopback(lambda asked: (503, {}, b""))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError, match="thing: answered HTTP 503"):
            await session.post_json("/x", {"a": 1})
        assert len(service.asked) == 1
        with pytest.raises(SourceError):
            await session.post_json("/x", {"a": 1}, retry_safe=True)
    assert len(service.asked) == 4


async def test_client_errors_are_not_retried(loopback):
    service = loopback(lambda asked: (404, {}, {"message": "Not Found"}))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError) as caught:
            await session.get_json("/x")
    assert (caught.value.status, len(service.asked)) == (404, 1)


async def test_long_retry_after_is_an_answer_at_once(loopback):
    service = loopback(lambda asked: (429, {"retry-after": "3600"}, b""))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError, match="rate limit"):
            await session.get_json("/x")
    assert len(service.asked) == 1


async def test_body_over_the_cap_is_refused(loopback):
    service = loopback(lambda asked: (200, {}, b"x" * 5000))
    async with connect(Source("thing", service.base_url, max_bytes=1000)) as session:
        with pytest.raises(SourceError, match="more than 1000 bytes"):
            await session.call("GET", "/x")
    assert len(service.asked) == 1


async def test_deadline_covers_the_whole_call(loopback):
    service = loopback(lambda asked: (503, {"retry-after": "2"}, b""))
    async with connect(Source("thing", service.base_url, total_timeout_s=0.3)) as session:
        with pytest.raises(SourceError, match=r"no answer within 0.3 s") as caught:
            await session.get_json("/x")
    assert caught.value.timed_out


async def test_closed_port_and_not_json_are_plain_sentences(loopback):
    async with connect(Source("thing", f"http://127.0.0.1:{closed_port()}", attempts=1)) as session:
        with pytest.raises(SourceError, match="cannot be reached"):
            await session.get_json("/x")
    service = loopback(lambda asked: (200, {}, b"<html>"))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError, match="did not answer with JSON"):
            await session.get_json("/x")


async def test_redirects_stay_on_the_host(loopback):
    def answer(asked):
        if asked.path == "/old":
            return 301, {"location": "/new"}, b""
        if asked.path == "/away":
            return 302, {"location": "http://evil.example/x"}, b""
        if asked.path == "/loop":
            return 302, {"location": "/loop"}, b""
        return 200, {}, {"at": asked.path}

    service = loopback(answer)
    async with connect(Source("thing", service.base_url)) as session:
        assert await session.get_json("/old") == {"at": "/new"}
        with pytest.raises(SourceError, match="redirects to another host"):
            await session.get_json("/away")
        with pytest.raises(SourceError, match="redirects in circles"):
            await session.get_json("/loop")


async def test_concurrency_limit_holds_over_sessions(loopback):
    inside, most, lock = 0, 0, threading.Lock()

    def answer(asked):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1
        return 200, {}, {}

    service = loopback(answer)
    source = Source("narrow", service.base_url, concurrency=2)

    async def one() -> None:
        async with connect(source) as session:
            await session.get_json("/x")

    await asyncio.gather(*(one() for _ in range(8)))
    assert len(service.asked) == 8
    assert most == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/x",
        "http://localhost:{port}/x",
        "http://[::1]:{port}/x",
        "http://[::ffff:127.0.0.1]:{port}/x",
        "http://2130706433:{port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.8/",
        "ftp://example.org/x",
        "file:///etc/passwd",
    ],
)
async def test_guarded_source_never_reaches_inside(loopback, url):
    service = loopback(lambda asked: (200, {}, {}))
    target = url.format(port=service.base_url.rsplit(":", 1)[1])
    async with connect(Source("website", "", guarded=True, attempts=1)) as session:
        with pytest.raises(SourceError):
            await session.call("GET", target)
    assert service.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::808:808", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("fec0::1", False),
        ("5f00::1", False),
        ("169.254.169.254", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


async def test_private_name_is_refused():
    with pytest.raises(UnsafeAddress, match="localhost is at"):
        await resolve_public("localhost", 80)


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1",
        "http://[",
        f"https://{'a' * 70}.com/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user:pw@127.0.0.1/",
        "file:///etc/passwd",
        "http://①⑦.0.0.1/",
        "http://a..b/",
        "http://\x00/",
        "http://xn--a/",
        "http://a:b:c/",
        "javascript:1",
        "",
    ],
)
async def test_hostile_addresses_are_sources_that_cannot_be_read(address):
    with pytest.raises(SourceError):
        await read_page(address)


@pytest.mark.parametrize("target", ["http://[::1", "http://xn--a/", "file:///etc/passwd", "http://169.254.169.254/latest/", "http://[::1]:9/", "http://a:b/"])  # fmt: skip
async def test_hostile_redirects_are_not_followed(loopback, monkeypatch, target):
    monkeypatch.setattr(ssrf, "is_public", lambda address: address == "127.0.0.1")  # the site alone
    site = loopback(lambda asked: (302, {"location": target}, b"") if asked.path == "/" else (404, {}, b""))
    with pytest.raises(SourceError):
        await read_page(f"{site.base_url}/")
    assert {asked.path for asked in site.asked} == {"/robots.txt", "/"}


def packed(content, kind):
    return gzip.compress(content) if kind == "gzip" else zlib.compress(content)


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_packed_answer_is_unpacked_up_to_the_cap(loopback, kind):
    bomb = packed(bytes(100 * 1024 * 1024), kind)
    bodies = {"/fits": packed(b'{"a": 1}', kind), "/bomb": bomb, "/torn": b"\x1f\x8b no"}
    service = loopback(lambda asked: (200, {"content-encoding": kind}, bodies[asked.path]))
    async with connect(Source("thing", service.base_url, max_bytes=100_000, attempts=1)) as session:
        assert await session.get_json("/fits") == {"a": 1}
        tracemalloc.start()
        with pytest.raises(SourceError, match="more than 100000 bytes"):
            await session.get_json("/bomb")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000
        with pytest.raises(SourceError, match="malformed answer"):
            await session.get_json("/torn")


async def test_packing_nobody_asked_for_is_refused(loopback):
    service = loopback(lambda asked: (200, {"content-encoding": "zstd"}, b"x"))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError, match=r"not asked for \(zstd\)"):
            await session.get_json("/x")
    assert service.asked[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("body", [b"[" * 200_000, b"1" * 10_000, b"\xff", b""])
async def test_json_made_to_break_readers_is_not_json(loopback, body):
    service = loopback(lambda asked: (200, {}, body))
    async with connect(Source("thing", service.base_url)) as session:
        with pytest.raises(SourceError, match="did not answer with JSON"):
            await session.get_json("/x")


async def test_figures_that_are_none_do_no_harm(loopback, monkeypatch):
    headers = {"retry-after": "²", "cache-control": "max-age=²", "age": "9" * 400}
    statuses = iter((503, 200))
    service = loopback(lambda asked: (next(statuses), headers, {"ok": True}))
    async with connect(Source("thing", service.base_url)) as session:
        assert await session.get_json("/x") == {"ok": True}
    assert robots.rules_of(200, "User-agent: *\nCrawl-delay: ²").known is False
