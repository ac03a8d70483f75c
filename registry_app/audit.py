"""Who is acting. Triggers write the audit entries; this names the actor to them for one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.db import connection, transaction

from platform_site.lib.logs import current_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

Via = Literal["admin", "page", "api", "command"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone who changes things: `user:admin`, `key:ci (ab12…)`, `command:bootstrap`."""

    name: str
    via: Via
    user_id: int | None = None
    #: The only project a key may see and write; "" for any.
    project: str = ""

    @classmethod
    def command(cls, name: str) -> Actor:
        return cls(f"command:{name}", "command")

    @classmethod
    def of_request(cls, request: HttpRequest, via: Via = "page") -> Actor:
        return cls(f"user:{request.user.get_username()}", via, request.user.pk)


@contextmanager
def acting(actor: Actor, reason: str = "") -> Iterator[None]:
    """One transaction whose every change is recorded as the actor's."""
    with transaction.atomic():
        set_actor(actor, reason)
        yield


def set_actor(actor: Actor, reason: str = "") -> None:
    """Name the actor of the transaction at hand (PostgreSQL forgets it at its end)."""
    values = {
        "platform.actor": actor.name,
        "platform.via": actor.via,
        "platform.reason": reason,
        "platform.request_id": current_ids().get("request_id", ""),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ", ".join(["set_config(%s, %s, true)"] * len(values)),
            [part for item in values.items() for part in item],
        )
