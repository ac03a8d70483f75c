"""What is kept of GET answers and of robots.txt, and how little of either."""

from __future__ import annotations

from itertools import count

import pytest

from fleet.kit import http, robots
from fleet.kit.http import Reply, Source, SourceError, connect
from fleet.kit.http_cache import ENTRY_COST, LARGEST_BODY, Shelf, fresh_for_s


def reply(body: bytes = b"{}", status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply("http://x/", status, named or {"cache-control": "max-age=60"}, body)


async def twice(source: Source, path: str = "/x") -> list[object]:
    """Two sessions, as two runs of a graph have them."""
    found = []
    for _ in range(2):
        async with connect(source) as session:
            found.append(await session.get_json(path))
    return found


async def test_a_fresh_answer_is_used_again(loopback):
    numbers = count(1)
    service = loopback(lambda asked: (200, {"cache-control": "private, max-age=60"}, {"n": next(numbers)}))
    source = Source("thing", service.base_url)
    assert await twice(source) == [{"n": 1}, {"n": 1}]
    assert await twice(source, "/y") == [{"n": 2}, {"n": 2}]


async def test_an_answer_of_another_key_is_not(loopback):
    service = loopback(
        lambda asked: (200, {"cache-control": "max-age=60"}, {"seen": asked.headers["authorization"]})
    )
    for key in ("one", "two"):
        assert await twice(Source("thing", service.base_url, {"authorization": key})) == [{"seen": key}] * 2
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("sent", "asks"),
    [
        ({"etag": '"v1"'}, {"if-none-match": '"v1"'}),
        ({"etag": '"v1"', "cache-control": "no-cache"}, {"if-none-match": '"v1"'}),
        (
            {"last-modified": "Tue, 03 Mar 2026 10:00:00 GMT", "cache-control": "max-age=0"},
            {"if-modified-since": "Tue, 03 Mar 2026 10:00:00 GMT"},
        ),
    ],
)
async def test_an_answer_that_may_be_old_is_asked_about(loopback, sent, asks):
    def answer(asked):
        return (304, sent, b"") if asks.items() <= asked.headers.items() else (200, sent, {"page": 1})

    service = loopback(answer)
    assert await twice(Source("thing", service.base_url)) == [{"page": 1}] * 2
    assert [asks.items() <= asked.headers.items() for asked in service.asked] == [False, True]


async def test_a_changed_answer_takes_the_old_one_s_place(loopback):
    numbers = count(1)
    service = loopback(lambda asked: (200, {"etag": f'"{(n := next(numbers))}"'}, {"n": n}))
    source = Source("thing", service.base_url)
    assert await twice(source) == [{"n": 1}, {"n": 2}]
    assert await twice(source) == [{"n": 3}, {"n": 4}]
    assert [asked.headers.get("if-none-match") for asked in service.asked] == [None, '"1"', '"2"', '"3"']


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (200, {"cache-control": "no-store, max-age=60"}),
        (200, {"cache-control": "max-age=60", "vary": "*"}),
        (203, {"cache-control": "max-age=60"}),
    ],
)
async def test_what_may_not_be_kept_is_asked_for_anew(loopback, status, headers):
    service = loopback(lambda asked: (status, headers, {}))
    await twice(Source("thing", service.base_url))
    assert [set(asked.headers) & {"if-none-match", "if-modified-since"} for asked in service.asked] == [
        set()
    ] * 2


async def test_a_post_is_never_answered_from_the_shelf_and_clears_its_address(loopback):
    numbers = count(1)
    service = loopback(lambda asked: (200, {"cache-control": "max-age=60"}, {"n": next(numbers)}))
    async with connect(Source("thing", service.base_url)) as session:
        assert await session.get_json("/x") == {"n": 1}
        assert [await session.post_json("/x", {}), await session.post_json("/x", {})] == [{"n": 2}, {"n": 3}]
        assert await session.get_json("/x") == {"n": 4}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "public, MAX-AGE=60", "age": "45"}, 15),
        ({"cache-control": "max-age=60", "age": "99"}, 0),
        ({"cache-control": "max-age=99999999"}, 24 * 3600),
        ({"cache-control": "max-age=much"}, 0),
        ({"expires": "Tue, 03 Mar 2026 10:01:00 GMT", "date": "Tue, 03 Mar 2026 10:00:00 GMT"}, 60),
        ({"expires": "0", "date": "Tue, 03 Mar 2026 10:00:00 GMT"}, 0),
        ({"expires": "Tue, 03 Mar 2026 10:01:00 GMT", "cache-control": "max-age=5"}, 5),
        ({}, 0),
    ],
)
def test_freshness_is_what_the_source_says(headers, seconds):
    assert fresh_for_s(headers) == seconds


def test_the_shelf_stays_within_its_bytes_and_drops_what_was_used_longest_ago():
    shelf = Shelf(most_bytes=3 * (1000 + ENTRY_COST))
    for name in ("a", "b", "c"):
        shelf.keep(name, reply(b"x" * 1000), 0.0)
    assert shelf.find("a")
    shelf.keep("d", reply(b"x" * 1000), 0.0)
    assert [name for name in "abcd" if shelf.find(name)] == ["a", "c", "d"]
    for name in ("d", "d", "d"):  # an answer in place of another is counted once
        shelf.keep(name, reply(b"x" * 1000), 0.0)
    assert [name for name in "acd" if shelf.find(name)] == ["a", "c", "d"]
    shelf.keep("large", reply(b"x" * (LARGEST_BODY + 1)), 0.0)
    assert shelf.find("large") is None


ROBOTS = b"User-agent: *\nDisallow: /private\n\nUser-agent: agentic-sales\nDisallow: /team\n"


async def page(source: Source, path: str) -> str:
    async with connect(source) as session:
        return (await session.call("GET", path)).text()


async def test_a_page_is_read_only_where_robots_may(loopback):
    service = loopback(
        lambda asked: (
            200,
            {"content-type": "text/plain"},
            ROBOTS if asked.path == "/robots.txt" else b"page",
        )
    )
    source = Source("website", service.base_url, robots=True)
    assert await page(source, "/private/x") == "page"  # said to others, not to us
    with pytest.raises(SourceError, match="website: asks robots not to read /team/maya"):
        await page(source, "/team/maya")
    assert [asked.path for asked in service.asked] == ["/robots.txt", "/private/x"]
    assert service.asked[0].headers["user-agent"] == http.AGENT


async def test_robots_are_heeded_where_a_redirect_leads(loopback):
    def answer(asked):
        if asked.path == "/robots.txt":
            return 200, {}, ROBOTS
        return (301, {"location": "/team"}, b"") if asked.path == "/old" else (200, {}, b"page")

    service = loopback(answer)
    with pytest.raises(SourceError, match="asks robots not to read /team"):
        await page(Source("website", service.base_url, robots=True), "/old")
    assert [asked.path for asked in service.asked] == ["/robots.txt", "/old"]


async def test_an_api_is_asked_without_robots(loopback):
    service = loopback(lambda asked: (200, {}, b"User-agent: *\nDisallow: /"))
    await page(Source("thing", service.base_url), "/v1/things")
    assert [asked.path for asked in service.asked] == ["/v1/things"]


@pytest.mark.parametrize("status", [404, 403, 410])
async def test_a_site_without_robots_may_be_read(loopback, status):
    service = loopback(lambda asked: (status if asked.path == "/robots.txt" else 200, {}, b"page"))
    assert await page(Source("website", service.base_url, robots=True), "/about") == "page"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_site_that_fails_to_say_is_left_alone(loopback, status):
    service = loopback(lambda asked: (status if asked.path == "/robots.txt" else 200, {}, b"page"))
    source = Source("website", service.base_url, robots=True)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"does not give its robots.txt, so its pages are left alone"):
            await page(source, "/about")
    assert [asked.path for asked in service.asked] == ["/robots.txt"]


def test_the_book_forgets_in_time_and_in_number():
    book = robots.Book(most=2)
    rules, unknown = robots.rules_of(404, ""), robots.rules_of(503, "")
    for origin in ("a", "b", "c"):
        book.keep(origin, rules, 0.0)
    assert [book.find(origin, robots.KEPT_S - 1) for origin in "abc"] == [None, rules, rules]
    assert book.find("c", robots.KEPT_S) is None
    book.keep("c", unknown, 0.0)
    assert [book.find("c", robots.UNKNOWN_KEPT_S - 1), book.find("c", robots.UNKNOWN_KEPT_S)] == [
        unknown,
        None,
    ]


def test_a_byte_order_mark_does_not_hide_the_first_rule():
    rules = robots.rules_of(200, "\ufeffUser-agent: *\nDisallow: /")
    assert not rules.allow(http.AGENT, "https://x.example/about")
