from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from msgspec import structs

from tests.browser.stored import store
from tests.traces.follow_up import conversation_payload, follow_up
from tests.traces.scenes import at, run, uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

TRACE = uid("web-app")
DRAFT = f"/traces/{TRACE}/runs/{uid('draft llm')}"
HOSTILE = (
    "<script>window.__hit=1</script>",
    "<img src=x onerror='window.__hit=1'>",
    '"><svg onload=window.__hit=1>',
    "{{ 7|add:7 }}{% debug %}",
    "javascript:window.__hit=1",
    "\u202egnp.exe \u0007 `code` </details></table>",
)


@pytest.fixture
def stored(database_url: str) -> str:
    runs, hops = follow_up()
    store(database_url, runs, hops, {uid("draft llm"): conversation_payload()})
    return database_url


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_pages_are_accessible_and_fit(
    stored: str,
    open_page: Callable[..., Page],
    check: Callable[[Page], None],
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    how_to = "/diagnostics/how-to/two-traces"
    beside = f"/traces/{TRACE}/compare?with={TRACE}"
    for path in (
        "/",
        "/traces/",
        "/traces/strips?cost=1",
        DRAFT,
        f"{DRAFT}?tab=feedback",
        beside,
        "/diagnostics/",
        how_to,
    ):
        page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 900})
        check(page)


def test_from_the_list_to_what_the_model_was_asked(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page("/traces/")
    page.get_by_role("link", name="sendFollowUp").click()
    assert "decided EMAIL; EMAIL ran email_compose" in page.locator("h1").inner_text()
    page.locator("[role=treegrid] a[data-open]", has_text="claude-sonnet-4-5").click()
    page.get_by_text("Dock-to-stock before the peak").wait_for()
    assert page.url.endswith(DRAFT)
    page.get_by_role("link", name="Input").click()
    page.locator(".c-json").wait_for()
    page.go_back()
    page.get_by_text("Dock-to-stock before the peak").wait_for()
    assert page.evaluate("window.__violations") == []


def test_tree_by_keyboard(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/traces/{TRACE}/")
    rows = page.locator("[role=treegrid] tbody tr[data-kind]")
    total = rows.count()
    page.locator("[role=treegrid] tr[tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.locator("[role=treegrid] tbody tr:visible").count() == 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    assert page.evaluate("document.activeElement.dataset.status") == "error"
    assert page.locator("[role=treegrid] tbody tr[data-kind]:visible").count() == total


def test_scripts_off_reads_folds_and_records(stored: str, open_page: Callable[..., Page]) -> None:
    page = open_page(DRAFT, java_script_enabled=False)
    assert page.get_by_text("Dock-to-stock before the peak").is_visible()
    before = page.locator("[role=treegrid] tbody tr").count()
    page.get_by_role("row", name="Close enrich_intent").get_by_role("link", name="Close").click()
    assert page.locator("[role=treegrid] tbody tr").count() < before
    page.get_by_role("link", name="Record feedback").click()
    page.get_by_role("button", name="Record feedback").click()
    page.locator("[role=alert]:focus", has_text="Score: Give a score or a value.").wait_for()
    page.get_by_label("Score").fill("1")
    page.get_by_role("button", name="Record feedback").click()
    page.locator("#traces-feedback").get_by_text("reply_received").wait_for()


def test_hostile_text_is_inert(
    database_url: str, open_page: Callable[..., Page], check: Callable[[Page], None]
) -> None:
    runs, hops = follow_up()
    dirty = [
        structs.replace(run, name=HOSTILE[at % len(HOSTILE)], error="".join(HOSTILE), status="error")
        if run.parent_run_id
        else structs.replace(run, name=HOSTILE[0])
        for at, run in enumerate(runs)
    ]
    payload = structs.replace(
        conversation_payload(), inputs={"messages": [{"role": HOSTILE[1], "content": "\n".join(HOSTILE)}]}
    )
    store(database_url, dirty, hops, dict.fromkeys((run.run_id for run in dirty), payload))
    for path in (
        "/traces/",
        f"/traces/{TRACE}/",
        *(f"{DRAFT}?tab={tab}" for tab in ("messages", "input", "raw", "error")),
    ):
        page = open_page(path)
        assert page.evaluate("window.__hit") is None
        assert page.evaluate("window.__violations") == []
        assert "<script>window.__hit=1</script>" in page.locator("main").inner_text()
    check(page)


def test_rows_beyond_the_first_screen_follow_by_themselves(
    database_url: str, open_page: Callable[..., Page]
) -> None:
    steps = [run(f"step {at}", at, at + 1, "caller") for at in range(1, 120)]
    store(database_url, [run("caller", 0, 200), *steps], [], {})
    page = open_page(f"/traces/{uid('caller')}/")
    page.locator("#traces-rest").wait_for(state="detached")
    names = page.locator("[role=treegrid] tbody tr a[data-open]").all_inner_texts()
    assert names == ["caller", *(f"step {at}" for at in range(1, 120))]
    assert page.locator("[role=treegrid] tr[tabindex='0']").count() == 1
    plain = open_page(f"/traces/{uid('caller')}/", java_script_enabled=False)
    assert plain.locator("[role=treegrid] tr[data-kind]").count() < len(names)
    plain.get_by_role("link", name="more open rows").click()
    plain.get_by_role("link", name="step 119", exact=True).wait_for()


def test_a_step_opens_beside_the_page_when_the_reader_says_so(
    stored: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/traces/{TRACE}/")
    step = page.locator("[role=treegrid] a[data-open]", has_text="claude-sonnet-4-5")
    with page.context.expect_page() as opened:
        step.click(modifiers=["Control"])
    assert opened.value.url.endswith(DRAFT)
    assert not page.url.endswith(DRAFT)


def test_an_action_under_way_is_read_again_as_the_reader_has_it(
    database_url: str, open_page: Callable[..., Page]
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=20)

    def keep(name: str, start: int, end: int | None, parent: str = "") -> None:
        row = run(name, start, end, parent)
        late = began - at(0)
        moved = structs.replace(row, start=row.start and row.start + late, end=row.end and row.end + late)
        store(database_url, [moved], [], {})

    keep("caller", 0, None)
    keep("plan", 1, 5, "caller")
    keep("ask", 2, 3, "plan")
    keep("write", 6, 8, "caller")
    page = open_page(f"/traces/{uid('caller')}/")
    page.clock.install()
    page.locator("a[data-open]", has_text="write").click()
    page.locator("#traces-panel h2", has_text="write").wait_for()
    page.locator(".c-tabs a", has_text="Raw").click()
    page.locator(".c-tabs [aria-current]", has_text="Raw").wait_for()
    page.get_by_role("row", name="Close plan").get_by_role("link", name="Close").click()

    def assert_as_left() -> None:
        assert page.locator("tr[aria-selected=true] a[data-open]").inner_text() == "write"
        assert page.locator("a[data-open]:visible", has_text="ask").count() == 0

    keep("check", 9, 10, "caller")
    page.get_by_role("link", name="Refresh").click()
    page.locator("a[data-open]", has_text="check").wait_for()
    assert_as_left()
    assert page.locator(".c-tabs [aria-current]").inner_text() == "Raw"
    page.reload()
    assert_as_left()

    page.get_by_role("link", name="Record feedback").click()
    page.get_by_label("Comment").fill("They called back")
    keep("caller", 0, 12)
    page.clock.run_for(6_000)
    assert page.get_by_label("Comment").input_value() == "They called back"
    page.get_by_role("link", name="Refresh").click()
    page.get_by_role("heading", name="It ended well").wait_for()
    assert page.get_by_role("link", name="Refresh").count() == 0


def test_an_answer_that_comes_late_takes_nothing_from_the_reader(
    database_url: str, open_page: Callable[..., Page]
) -> None:
    late = datetime.now(UTC) - timedelta(seconds=20) - at(0)
    rows = [run("caller", 0, None), run("plan", 1, 5, "caller"), run("write", 6, 8, "caller")]
    moved = [
        structs.replace(row, start=row.start and row.start + late, end=row.end and row.end + late)
        for row in rows
    ]
    store(database_url, moved, [], {})
    page = open_page(f"/traces/{uid('caller')}/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.headers.get("hx-target") == "traces-tree":
            held.append(route)
        else:
            route.continue_()

    page.route("**/traces/**", hold)
    with page.expect_request(lambda request: request.headers.get("hx-target") == "traces-tree"):
        page.get_by_role("link", name="Refresh").click()
    page.locator("a[data-open]", has_text="write").click()
    page.locator("#traces-panel h2", has_text="write").wait_for()
    page.evaluate(
        """() => document.addEventListener("htmx:afterRequest",
            (e) => { if (e.detail.requestConfig.elt.matches("[data-live]")) document.title = "answered"; })"""
    )
    for route in held:  # the page may have asked by itself too
        route.continue_()
    page.wait_for_function("() => document.title === 'answered'")
    assert page.locator("tr[aria-selected=true] a[data-open]").inner_text() == "write"
    assert page.locator("#traces-panel h2").first.inner_text() == "write"
    page.unroute_all()
    page.get_by_role("link", name="Refresh").click()
    page.locator("#traces-panel h2", has_text="write").wait_for()


def test_the_last_step_or_tab_that_was_asked_for_stands(
    database_url: str, open_page: Callable[..., Page]
) -> None:
    store(database_url, [run("caller", 0, 9), run("write", 6, 8, "caller")], [], {})
    page = open_page(f"/traces/{uid('caller')}/")
    held: list[Route] = []
    page.route(f"**/runs/{uid('write')}*", lambda route: held.append(route))
    with page.expect_request(f"**/runs/{uid('write')}*"):
        page.locator("a[data-open]", has_text="write").click()
    assert page.locator("tr[aria-selected=true] a[data-open]").inner_text() == "write"
    page.locator(".c-tabs a", has_text="Raw").click()
    page.locator(".c-tabs [aria-current]", has_text="Raw").wait_for()
    with page.expect_response(f"**/runs/{uid('write')}*"):
        held[0].continue_()
    page.unroute_all()
    page.locator(".c-tabs a", has_text="Metadata").click()
    page.locator(".c-tabs [aria-current]", has_text="Metadata").wait_for()
    assert page.locator("tr[aria-selected=true] a[data-open]").inner_text() == "caller"
    assert page.locator("#traces-panel h2").inner_text() == "caller"
    assert page.url.endswith(f"/runs/{uid('caller')}?tab=metadata")


def test_a_level_reaches_rows_that_were_not_sent(database_url: str, open_page: Callable[..., Page]) -> None:
    steps = [run(f"step {at}", at, at + 1, "caller") for at in range(1, 110)]
    calls = [run(f"call {at}", at, at + 1, f"step {at}") for at in range(1, 110)]
    store(database_url, [run("caller", 0, 200), *steps, *calls], [], {})
    page = open_page(f"/traces/{uid('caller')}/?level=1")
    page.locator("[role=treegrid] tr[tabindex='0']").focus()
    page.keyboard.press("3")
    page.get_by_role("link", name="call 1", exact=True).wait_for()
    assert page.url.endswith("?level=3")
    page.locator("[role=treegrid] tr:focus").wait_for()
    page.keyboard.press("2")
    page.get_by_role("link", name="step 109", exact=True).wait_for()
    assert page.get_by_role("link", name="call 1", exact=True).count() == 0
