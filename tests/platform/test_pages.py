from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission
from django.test import Client

from tests.traces.scenes import uid

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def test_strangers_are_sent_to_sign_in(db: None) -> None:
    for path in ("/", "/traces/", f"/traces/{uid('web-app')}/", "/diagnostics/", "/search", "/_patterns"):
        answer = Client().get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/login/")


def test_clear_refusals(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    assert client.get("/traces/?q=colour:red").status_code == 422
    for path in ("/traces/nothing-here/", f"/traces/{uid('absent')}/", "/diagnostics/how-to/no-such"):
        assert client.get(path).status_code == 404


def test_an_account_without_the_permission_is_told_so(django_user_model: type[User], db: None) -> None:
    client = Client()
    client.force_login(django_user_model.objects.create_user("nobody"))
    for path in ("/traces/", f"/traces/{uid('web-app')}/", "/diagnostics/"):
        assert client.get(path).status_code == 403


def test_resolving_and_verifying_need_a_permission_and_name_what_is_wrong(
    admin_user: User, django_user_model: type[User]
) -> None:
    reader = django_user_model.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_tracehead"))
    client = Client()
    client.force_login(reader)
    assert client.post("/diagnostics/1/resolve").status_code == 403
    assert client.post("/diagnostics/verify", {"assistant_id": "probe_core"}).status_code == 403
    client.force_login(admin_user)
    assert client.post("/diagnostics/1/resolve").status_code == 404
    assert client.post("/diagnostics/verify", {"assistant_id": "no-probe"}).status_code == 422


def test_a_poll_that_has_the_newest_gets_304(admin_user: User) -> None:
    client = Client(headers={"HX-Request": "true"})
    client.force_login(admin_user)
    first = client.get("/")
    again = client.get("/", headers={"If-None-Match": first["ETag"], "HX-Request": "true"})
    assert (first.status_code, again.status_code) == (200, 304)


def test_an_id_in_the_search_field_opens_its_action(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    assert client.get(f"/search?q={uid('web-app')}")["Location"] == f"/traces/{uid('web-app')}/"
    assert client.get("/search?q=Lena")["Location"] == "/traces/?q=Lena"
