"""The pattern sheet holds every component of the style sheet, asks the database nothing for it, and cannot act."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from platform_site.patterns.example import NO_TOKEN

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CLASS = re.compile(r"\.(c-[a-z]+(?:(?:__|--)[a-z]+)*)")
SHEET = Path(settings.BASE_DIR, "platform_site/static/css/site.css")


class Drawn(HTMLParser):
    """Every class of a page, and every id in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.classes: set[str] = set()
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.classes |= set((values.get("class") or "").split())
        if values.get("id"):
            self.ids.append(str(values["id"]))


@pytest.fixture
def client(admin_user: User) -> Client:
    found = Client()
    found.force_login(admin_user)
    return found


def test_every_class_of_the_style_sheet_is_shown(client: Client) -> None:
    rules = re.sub(r"/\*.*?\*/", "", SHEET.read_text(), flags=re.DOTALL)
    known = set(CLASS.findall(rules))
    assert len(known) > 100
    drawn = Drawn(client.get("/_patterns").text)
    missing = sorted(known - drawn.classes)
    assert not missing, missing
    assert len(drawn.ids) == len(set(drawn.ids)), sorted(
        {one for one in drawn.ids if drawn.ids.count(one) > 1}
    )


def test_examples_ask_the_database_nothing_and_carry_no_valid_token(client: Client) -> None:
    client.get("/_patterns")
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/_patterns")
    tables = [found[1] for one in queries if (found := re.search(r'FROM "(\w+)"', one["sql"]))]
    # Who asks, and the live version in the bar of every page.
    assert len(queries) == 3
    assert sorted(tables) == ["auth_user", "django_session", "routing_app_routingrevision"]
    inside = page.text.partition("<main")[2].partition("</main>")[0]
    tokens = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]*)"', inside))
    assert tokens == {NO_TOKEN}


def test_no_form_of_the_sheet_acts(admin_user: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    page = strict.get("/_patterns").text
    inside = page.partition("<main")[2].partition("</main>")[0]
    actions = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', inside))
    assert len(actions) > 5
    for action in actions:
        assert strict.post(action, {"csrfmiddlewaretoken": NO_TOKEN}).status_code == 403
