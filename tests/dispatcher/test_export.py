"""/routing.json from the dispatcher's memory: cheap, as fresh as the database, and there without it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from contract.routing_document import digest, parse
from routing_app.dispatcher.asgi import Dispatcher
from routing_app.dispatcher.config import DispatcherConfig
from tests.dispatcher.conftest import KEY, READER, SECRETS, UNTRUSTED, running, site, until
from tests.dispatcher.database import key_row, publish_row, wired
from tests.dispatcher.test_database import published

if TYPE_CHECKING:
    from tests.dispatcher.conftest import Site

PATH = "/routing.json"


async def test_the_document_comes_whole_once_and_then_as_not_modified(front: Site) -> None:
    first = await front.http.get(PATH)
    document = parse(first.content)
    assert first.headers["etag"] == f'"{document["version"]}-{digest(document)}"'
    assert not [secret for secret in SECRETS.values() if secret in first.text]
    for given in (first.headers["etag"], f"W/{first.headers['etag']}", f'"x", {first.headers["etag"]}', "*"):
        again = await front.http.get(PATH, headers={"if-none-match": given})
        assert (again.status_code, again.content) == (304, b"")
    assert (await front.http.head(PATH)).headers["content-length"] == str(len(first.content))
    front.publish(2)
    after = await front.http.get(PATH, headers={"if-none-match": first.headers["etag"]})
    assert (after.status_code, after.json()["version"]) == (200, 2)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {READER}"}, 200),
        ({"authorization": "", "x-api-key": READER}, 200),
        ({"authorization": f"Bearer {UNTRUSTED}"}, 403),
        ({"authorization": "Bearer nobody-nobody-nobody-nobody-nobody"}, 401),
        ({"authorization": ""}, 401),
    ],
)
async def test_it_needs_a_key_that_may_read(front: Site, headers: dict[str, str], status: int) -> None:
    assert (await front.http.get(PATH, headers=headers)).status_code == status


async def test_it_is_read_only(front: Site) -> None:
    assert (await front.http.post(PATH, json={})).status_code == 405


async def test_who_has_just_published_reads_it_and_without_the_database_the_last_one_stays(
    database_url: str,
) -> None:
    with tempfile.TemporaryDirectory(prefix="wire") as folder:
        async with (
            wired(database_url, Path(folder)) as (wire, url),
            site(Path(folder) / "data", url) as front,
        ):
            await key_row(database_url, KEY, "read")
            await until(lambda: len(front.dispatcher.live.keyring) == 1)
            for version in range(7, 12):
                await publish_row(database_url, published(front, version))
                assert (await front.http.get(PATH)).json()["version"] == version
            await wire.cut()
            assert (await front.http.get(PATH)).json()["version"] == 11


async def test_nothing_counts_as_unpublished_before_the_database_has_said_so(
    database_url: str, data_dir: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="wire") as folder:
        async with wired(database_url, Path(folder)) as (wire, url):
            await key_row(database_url, KEY, "read")
            dispatcher = Dispatcher(DispatcherConfig(database_url=url, data_dir=data_dir, environ=SECRETS))
            await dispatcher.start()
            try:
                async with running(dispatcher) as address, httpx.AsyncClient(base_url=address) as http:
                    http.headers["x-api-key"] = KEY
                    await until(lambda: len(dispatcher.live.keyring) == 1)
                    first = await http.get(PATH)
                    assert (first.status_code, first.json()["code"]) == (404, "NOT_PUBLISHED")
                    await wire.cut()
                    then = await http.get(PATH)
                    assert (then.status_code, then.json()["code"]) == (503, "NOT_LOADED")
                    assert then.headers["retry-after"] == "1"
            finally:
                await dispatcher.stop()
