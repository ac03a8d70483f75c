"""What each role does, end to end: find a planted fault, judge a run, walk the list, read on a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from msgspec import structs

from tests.browser.stored import store
from tests.traces.follow_up import conversation_payload, follow_up
from tests.traces.scenes import run, uid
from traces_app.services import bind_feedback

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

TRACE = uid("web-app")
DRAFT_RUN = uid("draft llm")


@pytest.fixture
def stored(database_url: str) -> str:
    runs, hops = follow_up()
    store(database_url, runs, hops, {DRAFT_RUN: conversation_payload()})
    return database_url


def test_an_engineer_finds_what_ran_instead_of_what_was_decided(
    database_url: str, open_page: Callable[..., Page], check: Callable[[Page], None]
) -> None:
    runs, hops = follow_up()
    planted = structs.replace(
        hops[0], decided_graph_digest="9c01aa55" * 8, executed_graph_digest="7be1d402" * 8
    )
    store(database_url, runs, [planted, *hops[1:]], {})
    page = open_page("/traces/")
    page.get_by_role("link", name="sendFollowUp").click()
    loud = page.get_by_role("region", name="Decided is not executed")
    assert loud.locator("td").all_inner_texts() == ["9c01aa55", "7be1d402"]
    loud.get_by_role("link", name="Go to the step").click()
    assert page.locator("tr:target + tr.c-finding--loud").count() == 1
    check(page)


def test_an_operator_records_that_the_mail_was_answered(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/traces/{TRACE}/runs/{DRAFT_RUN}")
    page.get_by_role("link", name="Record feedback").click()
    page.wait_for_url(lambda url: DRAFT_RUN not in url)  # an outcome is the action's, not the step's
    page.get_by_label("Score").fill("1")
    page.locator("#traces-panel").get_by_role("button", name="Record feedback").click()
    page.locator("#traces-panel .c-list").get_by_text("reply_received").wait_for()
    bind_feedback()  # what a job does every 15 s
    page.goto(page.url.split("/traces/")[0] + "/traces/?q=has:feedback")
    assert page.get_by_role("row").filter(has_text="reply_received").count() == 1


def test_keyboard_alone_from_the_list_to_the_next_action(stored: str, open_page: Callable[..., Page]) -> None:
    other = run("nightly digest", 3600, 3601, trace_id=uid("nightly digest"))
    store(stored, [other], [], {})
    page = open_page("/traces/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("[role=treegrid]").wait_for()
    first = page.url
    page.keyboard.press("]" if page.locator("[data-next]").count() else "[")
    page.wait_for_url(lambda url: url != first)
    assert page.locator("[role=treegrid]").count() == 1


def test_finding_a_step_without_scripts_on_a_phone(stored: str, open_page: Callable[..., Page]) -> None:
    small = {"width": 390, "height": 800}
    page = open_page(f"/traces/{TRACE}/", viewport=small, java_script_enabled=False)
    page.get_by_role("searchbox", name="Find in this action").fill("claude")
    with page.expect_navigation():
        page.get_by_role("button", name="Find", exact=True).click()
    assert page.locator("tr.is-found").count() == 1
    with page.expect_navigation():
        page.get_by_role("link", name="Show all").click()
    with page.expect_navigation():
        page.get_by_role("navigation", name="Levels shown").get_by_role("link", name="1", exact=True).click()
    assert page.locator("[role=treegrid] tbody tr[data-kind]").count() == 1


def test_newer_actions_are_held_while_a_row_is_in_use(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page("/traces/")
    page.keyboard.press("j")
    store(stored, [run("nightly digest", 3600, 3601, trace_id=uid("nightly digest"))], [], {})
    held = page.locator("[data-held]")
    held.wait_for(timeout=15_000)
    assert "1 newer action matches" in held.inner_text()
    assert page.get_by_role("link", name="nightly digest").count() == 0
    page.keyboard.press(".")
    page.get_by_role("link", name="nightly digest").wait_for()


def test_the_filter_is_completed_and_taken_apart(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page("/traces/")
    page.locator("#filter").press_sequentially("status:er")
    page.get_by_role("link", name="status:error", exact=True).click()
    page.get_by_role("link", name="Remove status:error").click()
    page.get_by_role("link", name="sendFollowUp").wait_for()
    assert page.url.endswith("/traces/")


def test_a_stretch_of_the_strips_is_drawn_and_cuts_the_list(
    stored: str, open_page: Callable[..., Page]
) -> None:
    now = datetime.now(UTC)
    runs = [
        structs.replace(
            run(name, 0, 1, trace_id=uid(name)),
            start=now - timedelta(hours=ago),
            end=now - timedelta(hours=ago),
        )
        for name, ago in (("this morning", 9), ("just now", 0))
    ]
    store(stored, runs, [], {})
    age = "UPDATE traces_app_tracehead SET seen_at = started_at WHERE name IN ('this morning', 'just now')"
    with psycopg.connect(stored, autocommit=True) as connection:
        connection.execute(age)
    page = open_page("/traces/")
    columns = page.locator("section[aria-label=Volume] [data-brush] a")
    columns.last.wait_for(state="attached")
    first, last = columns.nth(40).bounding_box(), columns.nth(50).bounding_box()
    assert first
    assert last
    page.mouse.move(first["x"] + 1, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(last["x"] + 1, last["y"] + 5)
    with page.expect_navigation():
        page.mouse.up()
    assert page.get_by_role("link", name="this morning").count() == 1
    assert page.get_by_role("link", name="just now").count() == 0
    assert page.locator(".c-chip").count() == 2


@pytest.mark.parametrize("path", ["/login/", "/admin/", "/keys"])
def test_the_frame_is_accessible(
    open_page: Callable[..., Page], check: Callable[[Page], None], path: str
) -> None:
    check(open_page(path))
