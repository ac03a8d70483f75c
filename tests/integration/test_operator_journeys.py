"""An operator's work in a real browser on the running platform: calls really go where the pages say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import launch
from tests.integration.conftest import PASSWORD, Platform, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A signed-in operator's window; what its console calls an error fails the test."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(base_url=platform.url)
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
        page.goto("/")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        press(page, "Sign in")
        yield page
        browser.close()
        assert told == []


def press(page: Page, name: str | re.Pattern[str]) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name).first.click()


def pool_of_a_call(platform: Platform) -> Any:
    with platform.api() as api:
        answer = api.post("/runs/wait", json={"assistant_id": "probe_email", "input": {"x": 1}})
    return answer.headers.get("x-agentic-pool")


def test_a_graph_gets_a_pool_of_its_own_and_is_rolled_back(platform: Platform, page: Page) -> None:
    with platform.api() as api:
        pools = api.get("/api/fleet").json()["pools"]
    address = next(pool for pool in pools if pool["slug"] == "EMAIL")["replicas"][0]["url"]
    page.goto("/routing/")
    page.get_by_role("link", name="Add a pool").click()
    page.get_by_label("Slug").fill("MAILROOM")
    page.get_by_label("Position").fill("5")
    page.get_by_label("Base URLs").fill(address)
    page.get_by_label("Secret's variable").fill("EMAIL_WORKER_SECRET")
    page.locator("#id_allowlist-0-assistant_id").fill("probe_email")
    press(page, "Save")
    page.goto("/routing/")
    assert "probe_email is on the allowlists of MAILROOM and EMAIL" in page.locator("main").inner_text()
    assert page.get_by_role("button", name=re.compile("Publish v")).is_disabled()

    page.get_by_label("probe_email in EMAIL").uncheck()
    press(page, "Save the draft")
    assert "moves probe_email to MAILROOM" in page.locator("h1").inner_text()
    assert pool_of_a_call(platform) == "EMAIL"
    page.get_by_label("Reason").fill("The canary of mail gets a pool of its own")
    press(page, re.compile("Publish v"))
    eventually(lambda: pool_of_a_call(platform) == "MAILROOM", within=10)
    page.goto("/fleet/")
    served = page.get_by_role("region", name="Who serves which version")
    assert served.get_by_text("serves what is live").count() == served.locator("tbody tr").count() > 0

    page.goto("/routing/")
    page.get_by_role("link", name=re.compile("Roll back to v")).first.click()
    page.get_by_label("Reason").fill("Not today")
    press(page, re.compile("Roll back to v"))
    eventually(lambda: pool_of_a_call(platform) == "EMAIL", within=10)


def test_the_path_is_verified_and_its_call_sent_again(platform: Platform, page: Page) -> None:
    page.goto("/diagnostics/")
    page.get_by_label("Probe").select_option("probe_email")
    page.get_by_role("button", name="Send one call").click()
    verdict = page.get_by_role("region", name="Verify now")
    verdict.get_by_text(re.compile("the path is (not )?whole")).wait_for()
    assert verdict.locator("li").all_inner_texts() == [
        text for text in verdict.locator("li").all_inner_texts() if text.endswith("yes")
    ]
    verdict.get_by_role("link", name="Open the call").click()
    page.locator("tr", has_text="pool root").get_by_role("link", name="probe_email", exact=True).click()
    page.get_by_role("link", name="Replay").click()
    page.get_by_label("Input, JSON").fill('{"x": 41}')
    press(page, "Send as a new call")
    page.locator("tr", has_text="pool root").wait_for()
    output = page.url.partition("#")[0]
    with platform.api() as api:
        tree = api.get(f"/api/traces/{output.rstrip('/').split('/')[-1]}/tree").json()
    assert any(node["kind"] == "pool" and node["assistant_id"] == "probe_email" for node in tree["nodes"])
