"""Pages as a reader has them: in colours of their own, on paper, by keyboard beside what stays in place, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from routing_app.services import draft
from tests.routing.conftest import ACTOR, live, pools

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
__all__ = ["live", "pools"]  # fixtures of the routing tests

#: So many steps lead through some twelve rows of the matrix.
STEPS = 90
AWAY = "No answer from the server. What you see is the last state received."


@pytest.fixture
def edited(transactional_db: None, live: int) -> None:
    """A live revision and a draft that differs, so that the bar to publish it stands at the foot of the page."""
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)


def style(page: Page, selector: str, name: str) -> str:
    return str(page.locator(selector).first.evaluate("(el, name) => getComputedStyle(el)[name]", name))


def test_lines_tell_what_grounds_told_where_colours_are_forced(open_page: Callable[..., Page]) -> None:
    page = open_page("/_patterns", forced_colors="active")
    ink = style(page, "body", "color")
    assert style(page, ".c-chart rect:not([class])", "fill") == ink
    assert style(page, ".c-badge", "borderTopWidth") == "1px"
    assert style(page, ".c-tree tr[aria-selected=true] > td", "borderTopWidth") == "2px"
    assert style(page, ".c-tree tr[aria-selected=false] > td", "borderTopWidth") == "0px"
    here, there = (
        style(page, f".c-tabs a{which}", "borderBottomColor")
        for which in ("[aria-current]", ":not([aria-current])")
    )
    assert here != there
    page.goto(page.url.replace("/_patterns", "/"))
    assert style(page, ".l-bar__nav a[aria-current]", "textDecorationLine") == "underline"
    assert style(page, ".l-bar__nav a:not([aria-current])", "textDecorationLine") == "none"


def test_paper_is_white_and_holds_what_can_be_read_there(open_page: Callable[..., Page]) -> None:
    page = open_page("/_patterns")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    on_screen = style(page, "body", "color")
    page.emulate_media(media="print")
    assert style(page, "body", "color") == "rgb(24, 29, 34)" != on_screen
    for left_out in (".l-bar", ".l-foot", ".c-btn", ".c-copy", ".c-pager", ".c-publish"):
        shown = page.locator(left_out)
        assert shown.count(), left_out
        assert not any(one.is_visible() for one in shown.all()), left_out
    assert style(page, ".c-panel", "maxHeight") == "none"
    assert page.locator("h1").is_visible()


COVERED = """() => {
    const el = document.activeElement;
    const box = el.getBoundingClientRect();
    if (box.height > innerHeight / 2) return [el.outerHTML.slice(0, 120), ""];  // a table that scrolls in itself
    const bars = [...document.querySelectorAll(".l-bar, .c-publish, .c-tree th")];
    const cell = el.closest(".c-matrix :is(td, th)"), first = cell?.parentElement.firstElementChild;
    if (first && first !== cell) bars.push(first);
    const over = bars.filter((bar) => {
        const its = bar.getBoundingClientRect();
        const [left, right] = [Math.max(box.left, its.left), Math.min(box.right, its.right)];
        const [top, bottom] = [Math.max(box.top, its.top), Math.min(box.bottom, its.bottom)];
        return right - left > 1 && bottom - top > 1 && !bar.contains(el)
            && bar.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
    });
    return [el.outerHTML.slice(0, 120), over.map((bar) => bar.className || bar.tagName).join()];
}"""


@pytest.mark.parametrize("width", [1440, 320])
def test_nothing_stands_on_what_has_the_focus(
    edited: None, open_page: Callable[..., Page], width: int
) -> None:
    """Down beyond what the window holds, where the bar to publish stands, and back up below the bar of the page."""
    page = open_page("/routing/", viewport={"width": width, "height": 500})
    places = []
    for key in ["Tab"] * STEPS + ["Shift+Tab"] * STEPS:
        page.keyboard.press(key)
        places.append((key, *page.evaluate(COVERED)))
        if key == "Tab":
            deepest = page.evaluate("scrollY")
    assert deepest > 200, "the walk went beyond the window"
    assert not [place for place in places if place[-1]]


def test_a_page_says_that_the_server_is_away_and_takes_it_back(
    edited: None, open_page: Callable[..., Page]
) -> None:
    page = open_page("/fleet/")
    alerts = page.locator("#alerts")
    page.context.set_offline(True)
    page.get_by_role("link", name="refresh").click()
    alerts.get_by_text(AWAY).wait_for()
    assert alerts.get_attribute("role") == "alert"
    assert page.get_by_role("heading", level=1).is_visible(), "the last state stays"
    page.context.set_offline(False)
    page.get_by_role("link", name="refresh").click()
    alerts.get_by_text(AWAY).wait_for(state="detached")
    assert alerts.inner_text() == ""
