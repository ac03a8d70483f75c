from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_pattern_sheet_is_accessible_and_fits(
    open_page: Callable[..., Page],
    check: Callable[[Page], None],
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    page = open_page("/_patterns", color_scheme=scheme, viewport={"width": width, "height": 900})
    assert page.locator("h1").inner_text().startswith("Every component")
    check(page)


def test_keyboard_help_opens_as_dialog_and_as_page(open_page: Callable[..., Page]) -> None:
    page = open_page("/_patterns")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    plain = open_page("/_patterns", java_script_enabled=False)
    plain.get_by_role("link", name="Keyboard").click()
    assert plain.get_by_role("heading", name="Keyboard").is_visible()


def test_theme_is_kept_and_shared_with_the_admin(open_page: Callable[..., Page]) -> None:
    page = open_page("/_patterns")
    for expected in ("light", "dark"):
        page.get_by_role("button", name="Theme").click()
        assert page.locator("html").get_attribute("data-theme") == expected
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("localStorage.getItem('theme')") == "dark"
    assert 'data-theme="dark"' in page.request.get(page.url).text(), "a page begins in the chosen theme"
    page.evaluate("localStorage.setItem('theme', 'light')")  # as the admin's own switch does
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_what_needs_scripts_is_shown_with_them_only(open_page: Callable[..., Page]) -> None:
    assert open_page("/_patterns").get_by_role("button", name="Theme").is_visible()
    assert (
        not open_page("/_patterns", java_script_enabled=False)
        .get_by_role("button", name="Theme")
        .is_visible()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_admin_wears_the_same_colours(
    open_page: Callable[..., Page], scheme: Literal["light", "dark"]
) -> None:
    page = open_page("/admin/", color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 28)"}[scheme]
    link = page.locator("#content-main th a").first.evaluate("el => getComputedStyle(el).color")
    assert link == {"light": "rgb(37, 82, 192)", "dark": "rgb(138, 172, 255)"}[scheme]
    assert page.evaluate("window.__violations") == []
