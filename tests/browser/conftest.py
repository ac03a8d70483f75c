"""A real Chromium against a real server. One browser a module: its loop must not outlive it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.chromium import launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.contrib.auth.models import User
    from pytest_django.live_server_helper import LiveServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # The ORM sees Playwright's loop in this thread and would refuse; the tests' queries are synchronous.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


@pytest.fixture
def operator(transactional_db: None) -> User:
    from django.contrib.auth.models import User

    return User.objects.create_superuser("mara", "mara@northbeam.example", "a long enough phrase")


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer, operator: User) -> Iterator[Callable[..., Page]]:
    """Open a path as the operator; keyword arguments go to the browser context (`color_scheme`, …)."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(operator)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    contexts: list[BrowserContext] = []

    def open_(path: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
        )
        page = context.new_page()
        page.add_init_script(
            "window.__violations=[];"
            "addEventListener('securitypolicyviolation',e=>window.__violations.push(e.violatedDirective+' '+e.blockedURI))"
        )
        page.goto(live_server.url + path)
        return page

    yield open_
    for context in contexts:
        context.close()


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def assert_accessible(page: Page, rules: Sequence[str] = (*WCAG, "best-practice")) -> None:
    results = Axe().run(page, options={"runOnly": list(rules)})
    found = [
        (item["id"], node["target"], node.get("failureSummary", "")[:300])
        for item in results.response["violations"]
        for node in item["nodes"][:3]
    ]
    assert not found, "\n".join(map(str, found))


def assert_policy_kept(page: Page) -> None:
    assert page.evaluate("window.__violations") == []


def assert_fits(page: Page) -> None:
    """The page itself never scrolls sideways; wide tables scroll inside their card."""
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"page is {widths[0]} px wide in a window of {widths[1]} px"


def assert_named(page: Page) -> None:
    """Every id stands once: a label that points at the second of two names the first, and axe does not see it."""
    twice = page.evaluate("""() => {
        const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
        return ids.filter((id, at) => ids.indexOf(id) !== at);
    }""")
    assert not twice, f"ids that stand twice: {twice}"


@pytest.fixture
def check() -> Callable[[Page], None]:
    """What holds on every page: axe finds nothing, no id stands twice, it does not scroll sideways, the policy is kept."""

    def check_(page: Page) -> None:
        assert_accessible(page)
        assert_named(page)
        assert_fits(page)
        assert_policy_kept(page)

    return check_
