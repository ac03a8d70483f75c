"""The switch: raw ASGI parts on their own paths, Django on the rest. `PLATFORM_ROLE` picks what a process serves."""

from __future__ import annotations

import json
import logging
import logging.config
import os
from typing import TYPE_CHECKING, Any, Protocol

from platform_site import env, pg
from platform_site.lib import memory
from platform_site.logging import config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from platform_site.env import Environment

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("platform.asgi")

HEALTH = ("ok", "health", "info")
OWNERS = {
    **dict.fromkeys(
        (*HEALTH, "_ml", "_research", "runs", "threads", "assistants", "linkedin", "metrics", "routing.json"),
        "dispatcher",
    ),
    **dict.fromkeys(("langsmith", "otlp"), "ingest"),
}
#: The dispatcher's for callers with a key, Django's for a browser's session.
SHARED = "routing.json"
KEY_HEADERS = frozenset({b"authorization", b"x-api-key"})


class Part(Protocol):
    """A raw ASGI application with a life of its own."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Switch:
    """Routes by the first path segment, before any of Django's middleware; owns the lifespan of its parts."""

    def __init__(self, role: str, parts: dict[str, Part], django: App | None) -> None:
        self.role = role
        self.parts = parts
        self.django = django

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._app_for(scope)(scope, receive, send)

    def _app_for(self, scope: Scope) -> App:
        segment = scope["path"][1:].split("/", 1)[0]
        if self.django is None:
            only = next(iter(self.parts.values()))
            return only if self.role == "dispatcher" or segment not in HEALTH else self._health
        if segment == SHARED and not any(name in KEY_HEADERS for name, _ in scope["headers"]):
            return self.django
        owner = self.parts.get(OWNERS.get(segment, ""))
        if owner is None:
            return self._health if segment in HEALTH else self.django
        return owner

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Health of a process without the dispatcher: it serves, and says which role it has."""
        body = json.dumps({"ok": True, "role": self.role}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        started: list[Part] = []
        await receive()
        try:
            for part in self.parts.values():
                await part.start()
                started.append(part)
        except Exception as error:
            logger.exception("a part could not start")
            await _stop(started)
            await send({"type": "lifespan.startup.failed", "message": repr(error)})
            return
        memory.settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _stop(started)
        await send({"type": "lifespan.shutdown.complete"})


async def _stop(parts: list[Part]) -> None:
    for part in reversed(parts):
        try:
            await part.stop()
        except Exception:
            logger.exception("%s did not stop cleanly", type(part).__name__)


def _parts(role: str) -> dict[str, Part]:
    """The raw parts of a role, ingest first: the dispatcher's health speaks for the process."""
    parts: dict[str, Part] = {}
    if role in ("all", "ingest"):
        from traces_app.ingest.asgi import Ingest
        from traces_app.ingest.config import IngestConfig

        parts["ingest"] = Ingest(IngestConfig.from_env(os.environ))
    if role in ("all", "dispatcher"):
        from routing_app.dispatcher.asgi import Dispatcher
        from routing_app.dispatcher.config import DispatcherConfig

        parts["dispatcher"] = Dispatcher(DispatcherConfig.from_env(os.environ))
    return parts


def _django() -> App:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "platform_site.settings")
    import django

    django.setup(set_prefix=False)
    from platform_site.handler import behind_proxies

    return behind_proxies(os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))  # type: ignore[return-value] # the scope is typed more narrowly


def create(environment: Environment) -> Switch:
    """Build the application of this process. The server is started here when a checkout has none running."""
    if not environment.production:
        pg.prepare_environment(os.environ, environment.data_dir)
    logging.config.dictConfig(config(environment))
    role = environment.platform_role
    return Switch(role, _parts(role), _django() if role in ("all", "web") else None)


application = create(env.read())
