"""Every page with rows on it: axe finds nothing, nothing scrolls sideways, the policy is kept; a campaign is paused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest

from campaigns_app import services
from campaigns_app.models import Campaign, Enrollment, Touch
from feedback_app.services import submit_feedback
from registry_app.sync import sync_registry
from routing_app.services import draft, publish
from tests.browser.conftest import WCAG, assert_accessible
from tests.browser.stored import store
from tests.campaigns.conftest import campaign, composed, enroll
from tests.routing.conftest import ACTOR, URLS
from tests.traces.follow_up import conversation_payload, follow_up
from tests.traces.scenes import uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
__all__ = ["campaign"]  # a fixture of the campaigns' tests

RUN = uid("draft llm")


@pytest.fixture
def peopled(database_url: str, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A platform with rows of every kind; the ids that addresses are made of."""
    for slug in URLS:
        monkeypatch.setenv(f"{slug}_WORKER_SECRET", "s" * 40)
    sync_registry()
    draft.ensure_pools(URLS)
    publish.publish_routing(actor=ACTOR, reason="first", base_version=0)
    runs, hops = follow_up()
    store(database_url, runs, hops, {RUN: conversation_payload()})
    touch = composed(enroll(campaign))
    touch.status = Touch.Status.SENT
    touch.save()
    submit_feedback(
        run_id=touch.langsmith_run_id, key="reply_received", score=1.0, source="human", actor="user:mara"
    )
    services.suppress(email="no@brightwell.example", reason="manual")
    return {"enrollment": str(touch.enrollment_id), "url": URLS["EMAIL"]}


#: Those that the journeys and the tests of traces, diagnostics and patterns do not look at in both themes already.
PAGES = (
    "/campaigns/", "/campaigns/new", "/campaigns/autumn/", "/campaigns/autumn/edit", "/campaigns/autumn/import",
    "/campaigns/autumn/start", "/campaigns/autumn/act/stop", "/campaigns/enrollments/{enrollment}/",
    "/campaigns/ledger/", "/campaigns/outbox/", "/campaigns/suppressions/", "/feedback/", "/fleet/",
    "/fleet/breakers/EMAIL?url={url}", "/registry/", "/registry/graphs/email_compose", "/registry/audit", "/routing/",
    "/routing/publish", "/routing/explain?assistant_id=email_compose&version=live", "/routing/revisions/1",
    "/routing/revisions/1/rollback",
)  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_every_page_is_accessible_and_fits(
    peopled: dict[str, str],
    open_page: Callable[..., Page],
    check: Callable[[Page], None],
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    page = open_page("/keys", color_scheme=scheme, viewport={"width": width, "height": 900})
    base = page.url.removesuffix("/keys")
    failed = []
    for path in PAGES:
        answer = page.goto(base + path.format(**peopled))
        assert answer
        assert answer.status in (200, 404), path
        try:
            check(page)
        except AssertionError as failure:
            failed.append(f"{path}: {failure}")
    assert not failed, "\n".join(failed)


def test_the_admin_is_accessible(
    peopled: dict[str, str], open_page: Callable[..., Page], campaign: Campaign
) -> None:
    """What Django draws keeps to WCAG as well; what is merely good practice is Django's to say."""
    page = open_page("/admin/")
    failed = []
    for path in (
        "", "auth/user/", "registry_app/apikey/", "registry_app/apikey/add/", "registry_app/auditentry/",
        "registry_app/graphrecord/", "registry_app/graphrecord/email_compose/change/",
        "routing_app/pool/EMAIL/change/", f"campaigns_app/campaign/{campaign.pk}/change/",
    ):  # fmt: skip
        page.goto(page.url[: page.url.index("/admin/")] + "/admin/" + path)
        try:
            assert_accessible(page, WCAG)
        except AssertionError as failure:
            failed.append(f"{path}: {failure}")
    assert not failed, "\n".join(failed)


def test_an_operator_pauses_a_campaign_and_resumes_it(
    peopled: dict[str, str], open_page: Callable[..., Page], campaign: Campaign
) -> None:
    enroll(campaign, "ada@brightwell.example")
    page = open_page("/campaigns/autumn/")
    with page.expect_navigation():
        page.get_by_role("button", name="Pause campaign").click()
    page.get_by_text("Paused; 2 people are held.").wait_for()
    assert set(Enrollment.objects.values_list("status", flat=True)) == {Enrollment.Status.PAUSED}
    page.get_by_role("link", name=re.compile("Resume|Start")).first.click()
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Resume|Start")).click()
    campaign.refresh_from_db()
    assert campaign.status == Campaign.Status.ACTIVE
    assert set(Enrollment.objects.values_list("status", flat=True)) == {Enrollment.Status.ACTIVE}
