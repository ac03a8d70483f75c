from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from contract.registry import GRAPHS
from platform_site import bootstrap
from platform_site.local_secrets import local_secrets
from platform_site.management.commands.jobs import queues
from registry_app.auth import find_key
from registry_app.models import ApiKey, GraphRecord
from routing_app.models import RoutingRevision

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def checkout(data_dir: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STATIC_ROOT = data_dir / "static"
    monkeypatch.setenv("PLATFORM_DATA_DIR", str(data_dir))
    for name in ("PLATFORM_API_KEY", "PLATFORM_ADMIN_PASSWORD", "EMAIL_WORKER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in local_secrets(data_dir).items():
        if name.endswith("_WORKER_SECRET"):
            monkeypatch.setenv(name, value)


def run() -> None:
    call_command("bootstrap", verbosity=0)


def test_second_bootstrap_changes_nothing(data_dir: Path) -> None:
    run()
    files = {name: (data_dir / name).read_text() for name in ("api-key", "admin-password", "ports.json")}
    rows = (GraphRecord.objects.count(), ApiKey.objects.count(), RoutingRevision.objects.count())
    assert rows == (len(GRAPHS), 3, 1)
    run()
    assert files == {name: (data_dir / name).read_text() for name in files}
    assert rows == (GraphRecord.objects.count(), ApiKey.objects.count(), RoutingRevision.objects.count())


def test_files_open_what_they_say_and_are_private(data_dir: Path) -> None:
    run()
    key = find_key((data_dir / "api-key").read_text().strip())
    assert key is not None
    assert key.scopes == ["*"]
    user = get_user_model().objects.get(username="admin")
    assert user.check_password((data_dir / "admin-password").read_text().strip())
    for name in ("api-key", "admin-password", "secrets.json"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600


def test_given_key_and_password_win(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setenv("PLATFORM_API_KEY", "a key, with ümlaut & spaces: 0123456789")
    monkeypatch.setenv("PLATFORM_ADMIN_PASSWORD", "correct horse battery")
    run()
    given = find_key("a key, with ümlaut & spaces: 0123456789")
    assert given is not None
    assert (data_dir / "api-key").read_text().strip() == "a key, with ümlaut & spaces: 0123456789"
    assert get_user_model().objects.get(username="admin").check_password("correct horse battery")


def test_key_that_is_too_short_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_API_KEY", "short")
    with pytest.raises(CommandError, match="PLATFORM_API_KEY"):
        run()


def test_pool_that_moved_is_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setenv("EMAIL_WORKER_URL", "http://127.0.0.1:20999")
    run()
    newest = RoutingRevision.objects.order_by("-version")[0]
    route = next(route for route in newest.document["routes"] if route["prefix"] == "EMAIL")
    assert (newest.version, route["url"]) == (2, "http://127.0.0.1:20999")


def test_static_files_are_collected_once() -> None:
    assert bootstrap.collect_static()
    assert not bootstrap.collect_static()


def test_job_process_leaves_the_pools_queues_alone() -> None:
    assert "default" in queues()
    assert not [name for name in queues() if name.startswith("pool-")]
