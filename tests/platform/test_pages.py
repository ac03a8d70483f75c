from __future__ import annotations

from typing import TYPE_CHECKING

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
