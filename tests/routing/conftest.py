"""A registry, four pools and keys, on real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from contract.registry import GRAPHS
from registry_app.audit import Actor
from registry_app.services import create_api_key
from registry_app.sync import sync_registry
from routing_app.services import draft, publish

if TYPE_CHECKING:
    from collections.abc import Callable

URLS = {
    slug: f"http://127.0.0.1:{9000 + n}" for n, slug in enumerate(("CORE", "EMAIL", "CLASSIFY", "DISCOVERY"))
}
ACTOR = Actor.command("test")


@pytest.fixture
def pools(db: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The draft of a fresh installation; nothing is published."""
    for slug in URLS:
        monkeypatch.setenv(f"{slug}_WORKER_SECRET", "s" * 40)
    sync_registry()
    draft.ensure_pools(URLS)
    return dict(URLS)


@pytest.fixture
def email_graphs(pools: dict[str, str]) -> list[str]:
    """What EMAIL lists at first, without its canary; grows with the registry."""
    return [
        spec.assistant_id for spec in GRAPHS if spec.pool == "EMAIL" and spec.assistant_id != "probe_email"
    ]


@pytest.fixture
def live(pools: dict[str, str]) -> int:
    """The same with revision 1 live."""
    return publish.publish_routing(actor=ACTOR, reason="first", base_version=0).version


@pytest.fixture
def keyed(db: None) -> Callable[..., Client]:
    """A client that sends a key with these scopes."""

    def make(*scopes: str, **fields: Any) -> Client:
        issued = create_api_key(name="test", scopes=scopes or ("*",), actor=ACTOR, **fields)
        return Client(headers={"authorization": f"Bearer {issued.raw}"})

    return make


@pytest.fixture
def member(django_user_model: Any) -> Callable[[str], Client]:
    """A signed-in member of a group, with CSRF enforced as in a browser."""

    def make(group: str) -> Client:
        user = django_user_model.objects.create_user(f"a-{group}", password="x" * 16, is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client(enforce_csrf_checks=True)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make
