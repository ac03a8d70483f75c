"""Publishing a draft of 1,000 graphs with its checks, and asking for /routing.json again. One line of JSON.

    .venv/bin/python bench/routing_bench.py

Runs on a database of its own, made and dropped on the server of `DATABASE_URL` or the checkout's embedded one.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

GRAPHS, POOLS = 1_000, 10


def prepare() -> None:
    """Fill the draft: ten pools, a hundred graphs in each."""
    from django.utils import timezone

    from contract.shapes import SHAPES
    from registry_app.models import GraphRecord
    from routing_app.models import AllowlistEntry, Pool

    slugs = ["CORE", *(f"P{n}" for n in range(1, POOLS))]
    Pool.objects.bulk_create(
        Pool(slug=slug, position=n, base_urls=[f"http://127.0.0.1:{9000 + n}"])
        for n, slug in enumerate(slugs)
    )
    home = {f"graph_{n}": slugs[n % POOLS] for n in range(GRAPHS)}
    GraphRecord.objects.bulk_create(
        GraphRecord(
            assistant_id=name, module=f"m.{name}", home_pool=slug, input_shape="email_compose",
            input_schema=SHAPES["email_compose"], spec_digest="0" * 64, graph_digest="1" * 64, synced_at=timezone.now(),
        )
        for name, slug in home.items()
    )  # fmt: skip
    AllowlistEntry.objects.bulk_create(
        AllowlistEntry(pool_id=slug, assistant_id=name) for name, slug in home.items()
    )


def measure() -> dict[str, Any]:
    from registry_app.audit import Actor
    from registry_app.services import create_api_key
    from routing_app.services.publish import publish_routing

    actor = Actor.command("bench")
    publications = []
    for base in range(3):
        start = time.perf_counter()
        publish_routing(actor=actor, reason="bench", base_version=base)
        publications.append(time.perf_counter() - start)
    key = create_api_key(name="bench", scopes=["read"], actor=actor).raw
    size, again = asyncio.run(ask_again(key))
    return {
        "bench": "routing",
        "graphs": GRAPHS,
        "publish_s": round(min(publications), 3),
        "document_kb": round(size / 1024),
        "not_modified_ms_p50": round(statistics.median(again) * 1000, 2),
        "not_modified_ms_best": round(min(again) * 1000, 2),
    }


async def ask_again(key: str) -> tuple[int, list[float]]:
    """Bytes of the document, and the seconds of 200 conditional requests inside the dispatcher's process."""
    from django.db import connection

    from routing_app.dispatcher.asgi import Dispatcher
    from routing_app.dispatcher.config import DispatcherConfig

    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={quote(settings['HOST'], safe='')}"
    with tempfile.TemporaryDirectory() as folder:
        dispatcher = Dispatcher(DispatcherConfig.from_env({"DATABASE_URL": url, "PLATFORM_DATA_DIR": folder}))
        await dispatcher.start()
        try:
            async with asyncio.timeout(30):
                while (first := await ask(dispatcher, key, b""))[0]["status"] != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # keys and document are on their way
            tag, again = dict(first[0]["headers"])[b"etag"], []
            for _ in range(200):
                start = time.perf_counter()
                answer = await ask(dispatcher, key, tag)
                again.append(time.perf_counter() - start)
                assert answer[0]["status"] == 304
        finally:
            await dispatcher.stop()
    return len(first[1]["body"]), again


async def ask(dispatcher: Any, key: str, tag: bytes) -> list[dict[str, Any]]:
    """The ASGI messages that answer one GET."""
    sent: list[dict[str, Any]] = []
    headers = [(b"x-api-key", key.encode()), (b"if-none-match", tag)]
    path = "/routing.json"

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": headers}
    await dispatcher(scope, receive, send)
    return sent


def main() -> None:
    from platform_site import env, pg

    os.environ.update(
        DATABASE_POOL_SIZE="0", LOG_LEVEL="ERROR", DJANGO_SETTINGS_MODULE="platform_site.settings"
    )
    pg.prepare_environment(os.environ, env.read().data_dir)
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"bench_routing_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        prepare()
        print(json.dumps(measure()))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        teardown_test_environment()


if __name__ == "__main__":
    main()
