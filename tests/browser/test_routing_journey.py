"""An operator's day with routing, in a real browser: move a graph, look, publish, think again, roll back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, User

from registry_app.models import ApiKey, AuditEntry
from routing_app.models import RoutingRevision
from routing_app.services import draft, drills, publish
from tests.routing.conftest import ACTOR, URLS, live, pools

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
__all__ = ["live", "pools"]  # fixtures of the routing tests


@pytest.fixture(autouse=True)
def first_revision(transactional_db: None, live: int) -> None:
    """Revision 1 is live."""


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()


def move_probe(page: Page, old: str, new: str) -> None:
    page.get_by_label(f"probe_email in {old}").uncheck()
    page.get_by_label(f"probe_email in {new}").check()
    press(page, "Save the draft")


def runs_in(version: int | None = None) -> str:
    found = RoutingRevision.objects.get(version=version) if version else publish.live_revision()
    assert found is not None
    return str(found.document["graphs"]["probe_email"]["pool"])


def test_move_look_publish_and_roll_back(
    open_page: Callable[..., Page], check: Callable[[Page], None]
) -> None:
    page = open_page("/routing/")
    assert "v1 is live and the draft is the same." in page.locator("h1").inner_text()
    move_probe(page, "EMAIL", "CLASSIFY")
    assert "moves probe_email to CLASSIFY" in page.locator("h1").inner_text()
    row = page.get_by_role("row", name=re.compile("probe_email"))
    assert "EMAIL → CLASSIFY" in row.inner_text()
    assert runs_in() == "EMAIL"
    check(page)

    with page.expect_navigation():
        page.get_by_role("link", name="See the diff").click()
    diff = page.get_by_role("region", name="Changes").inner_text()
    assert "graphs.probe_email.pool" in diff
    assert "pools.CLASSIFY.allowlist.probe_email" in diff
    check(page)
    page.get_by_label("Reason").fill("The canary classifies now")
    press(page, "Publish v2")
    assert "v2 is live and the draft is the same." in page.locator("h1").inner_text()
    assert runs_in() == "CLASSIFY"

    page.get_by_label("Assistant id").fill("probe_email")
    for version, pool in (("live", "CLASSIFY"), ("1", "EMAIL")):
        page.get_by_label("Version", exact=True).fill(version)
        page.get_by_role("button", name="Explain").click()
        page.locator("#routing-answer b", has_text=re.compile(f"^{pool}$")).wait_for()

    with page.expect_navigation():
        page.get_by_role("link", name="Roll back to v1").click()
    assert "It moves probe_email CLASSIFY → EMAIL." in page.locator("h1").inner_text()
    page.get_by_label("Reason").fill("It was needed where it was")
    press(page, "Roll back to v1")
    assert runs_in() == "EMAIL"
    versions = page.get_by_role("region", name="Versions").inner_text()
    assert "repeats v1" in versions
    page.goto(page.url.replace("/routing/", "/registry/audit"))
    audit = page.get_by_role("region", name="Audit").inner_text()
    for text in ("user:mara", "The canary classifies now", "It was needed where it was", "probe_email"):
        assert text in audit


def test_two_windows_meet(open_page: Callable[..., Page], check: Callable[[Page], None]) -> None:
    mine, theirs = open_page("/routing/"), open_page("/routing/")
    move_probe(mine, "EMAIL", "CLASSIFY")
    mine.get_by_label("Reason").fill("mine")
    theirs.goto(mine.url)
    theirs.get_by_label("Reason").fill("theirs")
    press(theirs, "Publish v2")
    move_probe(theirs, "CLASSIFY", "DISCOVERY")
    press(mine, "Publish v2")
    assert "Not published." in mine.locator("main").inner_text()
    assert "revision 1; revision 2 is live" in mine.locator("main").inner_text()
    assert RoutingRevision.objects.count() == 2

    publish.rollback(actor=ACTOR, reason="somebody else", version=1)
    mine.goto(theirs.url)
    assert "The draft was made on v2, but v3 is live" in mine.locator("main").inner_text()
    assert mine.get_by_role("button", name="Publish v4").is_disabled()
    check(mine)
    press(mine, "Keep the draft on top of v3")
    mine.get_by_label("Reason").fill("decided")
    press(mine, "Publish v4")
    assert runs_in(4) == "DISCOVERY"


def test_who_may_not_publish_sees_why(
    open_page: Callable[..., Page], operator: User, check: Callable[[Page], None]
) -> None:
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    operator.is_superuser = False
    operator.save()
    operator.groups.set([Group.objects.get(name="viewer")])
    page = open_page("/routing/")
    assert page.get_by_role("button", name="Publish v2").is_disabled()
    assert page.get_by_role("button", name="Save the draft").is_disabled()
    text = page.locator("main").inner_text()
    assert "needs the group publisher" in text
    assert "Needs the group operator" in text
    check(page)
    answer = page.goto(page.url + "publish")
    assert answer is not None
    assert answer.status == 403
    assert "may not do this" in page.locator("main").inner_text()


def test_it_all_works_with_scripts_off(open_page: Callable[..., Page]) -> None:
    page = open_page("/routing/", java_script_enabled=False)
    move_probe(page, "EMAIL", "CLASSIFY")
    page.get_by_label("Reason").fill("no scripts")
    press(page, "Publish v2")
    page.get_by_label("Assistant id").fill("probe_email")
    press(page, "Explain")
    assert "it goes to CLASSIFY" in page.locator("#routing-answer").inner_text()


def test_the_admin_adds_a_pool_and_shows_a_key_once(open_page: Callable[..., Page]) -> None:
    page = open_page("/admin/routing_app/pool/add/")
    page.get_by_label("Slug").fill("RESEARCH")
    page.get_by_label("Base URLs").fill("http://user:pw@10.0.0.9")
    page.get_by_label("Secret's variable").fill("EMAIL_WORKER_SECRET")
    page.locator("#id_allowlist-0-assistant_id").fill("gh_lead_research")
    press(page, "Save and continue editing")
    assert "must not carry credentials" in page.locator("#content").inner_text()
    page.get_by_label("Base URLs").fill("http://10.0.0.9:9000, http://10.0.0.10:9000")
    press(page, "Save and continue editing")
    entry = AuditEntry.objects.get(model="routing_app_pool", object_id="RESEARCH")
    assert (entry.actor, entry.via) == ("user:mara", "admin")
    with page.expect_navigation():
        page.get_by_role("link", name="See the draft").click()
    assert (
        "gh_lead_research is on the allowlists of DISCOVERY and RESEARCH" in page.locator("main").inner_text()
    )
    assert page.get_by_role("button", name="Publish v2").is_disabled()

    page.goto(page.url.replace("/routing/", "/admin/registry_app/apikey/add/"))
    page.get_by_label("Name").fill("crm")
    page.get_by_label("runs", exact=True).check()
    press(page, "Save and continue editing")
    raw = re.search(r"shown this once: (\S+)", page.locator(".messagelist").inner_text())
    assert raw is not None
    key = ApiKey.objects.get(name="crm")
    assert (raw[1].startswith(key.prefix), key.scopes) == (True, ["runs"])
    page.reload()
    assert raw[1] not in page.content()


def test_an_operator_holds_a_breaker_without_scripts(open_page: Callable[..., Page]) -> None:
    page = open_page("/fleet/", java_script_enabled=False)
    with page.expect_navigation():
        page.get_by_role("link", name=f"Hold the breaker of {URLS['EMAIL']}").click()
    page.get_by_label("Reason").fill(" ")
    press(page, "Hold the breaker")
    assert "Reason: This field is required." in page.locator("[role=alert]:focus").inner_text()
    page.locator(":focus").get_by_role("link", name="Reason").click()
    assert page.locator(":focus").get_attribute("name") == "reason"
    page.get_by_label("Reason").fill("it answers nonsense")
    press(page, "Hold the breaker")
    assert "is held open; dispatchers follow at once." in page.locator("#alerts").inner_text()
    row = page.locator("tr", has_text=URLS["EMAIL"])
    assert "hold open until" in row.inner_text()
    press(page, f"Release the breaker of {URLS['EMAIL']}")
    assert page.get_by_role("button", name="Release").count() == 0


def test_what_is_read_again_keeps_the_focus_and_says_what_is_new(open_page: Callable[..., Page]) -> None:
    page = open_page("/fleet/")
    drills.ask_for_drill(actor=ACTOR)
    page.get_by_role("link", name="refresh").press("Enter")
    page.locator("#status", has_text="waits for the job process").wait_for(state="attached")
    assert page.locator(":focus").inner_text() == "refresh"


NARROW = ("/routing/", "/routing/publish", "/registry/", "/registry/graphs/email_compose", "/fleet/")


def test_narrow_and_dark(open_page: Callable[..., Page], check: Callable[[Page], None]) -> None:
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose", "nobody_knows"], actor=ACTOR)
    options: dict[str, Any] = {"color_scheme": "dark", "viewport": {"width": 390, "height": 900}}
    page = open_page(NARROW[0], **options)
    origin = page.url.removesuffix(NARROW[0])
    for path in NARROW:
        page.goto(origin + path)
        check(page)
