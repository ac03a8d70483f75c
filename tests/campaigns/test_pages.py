"""The pages an operator works with, by plain HTTP and without scripts: each opens, each form does its one thing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from campaigns_app import replies, services
from campaigns_app.models import Campaign, Enrollment, InboundEvent, Suppression, Touch
from feedback_app.models import Feedback
from tests.campaigns.conftest import composed, enroll

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Any) -> Any:
    client.force_login(
        User.objects.create_superuser("mara", "mara@northbeam.example", "a long enough phrase")
    )
    return client


def editor(**changes: Any) -> dict[str, Any]:
    """What the editor posts for a new campaign of two steps."""
    return {
        "name": "Winter",
        "slug": "winter",
        "mailbox": "mara@northbeam.example",
        "timezone": "Europe/Berlin",
        "weekdays": ["0", "1"],
        "window_start": "09:00",
        "window_end": "17:00",
        "daily_limit": "50",
        "sequence_graph": "campaign_sequence",
        "step-TOTAL_FORMS": "2",
        "step-INITIAL_FORMS": "2",
        "step-0-delay": "0",
        "step-0-delay_unit": "hours",
        "step-1-delay": "3",
        "step-1-delay_unit": "business_days",
        **changes,
    }


def test_the_editor_makes_a_campaign_and_changes_it(operator: Any) -> None:
    assert operator.get(reverse("campaigns:new")).status_code == 200
    assert operator.post(reverse("campaigns:new"), editor()).status_code == 302
    made = Campaign.objects.get(slug="winter")
    assert (made.sequence_graph, made.weekdays, made.steps.count()) == ("campaign_sequence", [0, 1], 2)
    page = reverse("campaigns:edit", args=["winter"])
    assert 'value="Winter"' in operator.get(page).content.decode()
    assert operator.post(page, editor(name="Spring", **{"step-1-DELETE": "on"})).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.steps.count()) == ("Spring", 1)


def test_adding_a_step_is_a_wish_not_a_write(operator: Any) -> None:
    page = operator.post(reverse("campaigns:new"), editor(add="1")).content.decode()
    assert "Step 3" in page
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mailbox": "nobody"}, "valid email"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"sequence_graph": "email_compose"}, "not one of the available choices"),
        ({"window_end": "08:00"}, "close after it opens"),
        ({"sequence_graph": "", "step-0-assistant_id": "email_followup"}, "there is none"),
        ({"step-TOTAL_FORMS": "x"}, "ManagementForm"),
    ],
)
def test_the_editor_says_what_is_wrong(operator: Any, changes: dict[str, Any], why: str) -> None:
    refused = operator.post(reverse("campaigns:new"), editor(**changes))
    assert refused.status_code == 422
    assert why in refused.content.decode()
    assert not Campaign.objects.exists()


def test_a_file_is_imported_with_a_report(operator: Any, campaign: Campaign) -> None:
    file = SimpleUploadedFile("people.csv", b"email,name\na@example.com,A\nnobody,B\n")
    page = operator.post(reverse("campaigns:import", args=["autumn"]), {"file": file}).content.decode()
    assert "is not an e-mail address" in page
    assert Enrollment.objects.get().contact.email == "a@example.com"
    bad = SimpleUploadedFile("people.csv", b"\xff\xfe")
    assert operator.post(reverse("campaigns:import", args=["autumn"]), {"file": bad}).status_code == 422


def test_steering_counts_first_and_then_acts(operator: Any, campaign: Campaign) -> None:
    row = enroll(campaign)
    for action, status in (
        ("pause", "paused"),
        ("resume", "active"),
        ("skip", "active"),
        ("stop", "stopped"),
    ):
        page = reverse("campaigns:act", args=["autumn", action])
        told = operator.get(page, {"id": str(row.pk)}).content.decode()
        assert "affects <b>1</b>" in told
        assert operator.post(page, {"id": str(row.pk)}).status_code == 302
        row.refresh_from_db()
        assert row.status == status
    for given, answer in (({"status": "asleep"}, 422), ({"status": "stopped"}, 200), ({}, 200)):
        impact = operator.post("/api/campaigns/autumn/impact/stop", given, "application/json")
        assert impact.status_code == answer


def test_a_campaign_starts_after_a_look_at_what_goes_out(operator: Any, campaign: Campaign) -> None:
    enroll(campaign)
    services.pause(campaign=campaign)
    page = reverse("campaigns:start", args=["autumn"])
    assert "What will go out" in operator.get(page).content.decode()
    assert operator.post(page).status_code == 302
    campaign.refresh_from_db()
    assert campaign.status == "active"


def test_suppressions_come_and_go(operator: Any) -> None:
    for _ in range(2):
        posted = {"email": "gone@example.com", "reason": "manual", "note": "asked by phone"}
        assert operator.post(reverse("campaigns:suppress"), posted).status_code == 302
    assert "asked by phone" in operator.get(reverse("campaigns:suppressions")).content.decode()
    refused = operator.post(reverse("campaigns:suppress"), {"email": "nobody", "reason": "manual"})
    assert refused.status_code == 422
    operator.post(reverse("campaigns:unsuppress"), {"email": "GONE@example.com"})
    assert not Suppression.objects.exists()


def test_an_unknown_mail_is_resolved_on_its_page(operator: Any, campaign: Campaign) -> None:
    touch = composed(enroll(campaign))
    Touch.objects.update(status="unknown", sending_at=touch.composed_at)
    Enrollment.objects.update(status="parked")
    assert "unknown" in operator.get(reverse("campaigns:outbox"), {"status": "unknown"}).content.decode()
    page = operator.get(reverse("campaigns:enrollment", args=[touch.enrollment_id])).content.decode()
    assert "It was sent" in page
    assert operator.post(reverse("campaigns:resolve", args=[touch.pk, "sent"])).status_code == 302
    touch.refresh_from_db()
    assert touch.status == "sent"


def test_an_unread_answer_is_read_by_a_person(operator: Any, campaign: Campaign) -> None:
    touch = composed(enroll(campaign))
    Touch.objects.update(status="sent", sending_at=touch.composed_at, sent_at=touch.composed_at)
    event = replies.record_event(
        kind="message", touch=touch, source_event_id="m", text="<script>alert(1)</script> yes"
    ).event
    person = reverse("campaigns:enrollment", args=[touch.enrollment_id])
    lists = ("/campaigns/", "/campaigns/autumn/")
    for path in (person, *lists):
        page = operator.get(path).content.decode()
        assert "not read yet" in page
        assert "<script>alert" not in page
        assert ("answered, and nobody has read it yet" in page) == (path == person)
        assert page.count("data-record") == (path == person), "one key, one thing that it does"
    cache.clear()  # home keeps what it counted for half a minute
    assert "1 answer to read" in operator.get("/").content.decode()
    assert operator.post(reverse("campaigns:settle", args=[event.pk, "reply"])).status_code == 302
    assert Enrollment.objects.get().status == "replied"
    assert InboundEvent.objects.get().actor == "mara"
    for path in lists:
        assert "not read yet" not in operator.get(path).content.decode()
    late = operator.post(reverse("campaigns:settle", args=[event.pk, "unsubscribe"]), follow=True)
    assert "It was read before" in late.content.decode()
    assert Enrollment.objects.get().status == "replied"


def test_who_may_only_look_cannot_act(client: Any, campaign: Campaign) -> None:
    guest = User.objects.create_user("guest", password="a long enough phrase")
    guest.groups.add(Group.objects.get(name="viewer"))
    client.force_login(guest)
    row = enroll(campaign)
    for page in ("list", "outbox", "suppressions", "ledger"):
        assert client.get(reverse(f"campaigns:{page}")).status_code == 200
    assert client.get(reverse("campaigns:detail", args=["autumn"])).status_code == 200
    assert client.get(reverse("campaigns:enrollment", args=[row.pk])).status_code == 200
    for page in ("edit", "import", "start"):
        assert client.get(reverse(f"campaigns:{page}", args=["autumn"])).status_code == 403
    assert client.post(reverse("campaigns:act", args=["autumn", "stop"])).status_code == 403
    assert client.post(reverse("campaigns:pause", args=["autumn"])).status_code == 403


def test_the_admin_gives_feedback_on_the_run_that_wrote_a_mail(operator: Any, campaign: Campaign) -> None:
    touch = composed(enroll(campaign))
    page = reverse("admin:campaigns_app_touch_changelist")
    chosen = {"action": "give_feedback", "_selected_action": [str(touch.pk)]}
    refused = operator.post(page, {**chosen, "key": "tone", "score": "high"}, follow=True)
    assert [str(m) for m in refused.context["messages"]] == ["score: Enter a number."]
    nothing = operator.post(page, {**chosen, "key": "tone"}, follow=True)
    assert b"give a score" in nothing.content
    assert not Feedback.objects.exists()
    for _ in range(2):
        operator.post(page, {**chosen, "key": "tone", "score": "0.5", "comment": "Too long"})
    given = Feedback.objects.get()
    assert (str(given.run_id), given.key, given.score, given.source, given.rater) == (
        touch.langsmith_run_id,
        "tone",
        0.5,
        "human",
        "user:mara",
    )


def test_the_admin_holds_steps_to_what_the_service_asks(operator: Any, campaign: Campaign) -> None:
    page = reverse("admin:campaigns_app_campaign_change", args=[campaign.pk])
    assert operator.get(page).status_code == 200
    steps = list(campaign.steps.all())
    given = {
        "name": "Autumn",
        "slug": "autumn",
        "mailbox": campaign.mailbox_id,
        "timezone": "Mars/Olympus",
        "weekdays": "0,1",
        "window_start": "09:00",
        "window_end": "17:00",
        "daily_limit": "5",
        "sequence_graph": "email_compose",
        "steps-TOTAL_FORMS": "2",
        "steps-INITIAL_FORMS": "2",
    }
    for number, step in enumerate(steps):
        own = {"id": step.pk, "campaign": campaign.pk, "position": number, "assistant_id": "no_such_graph"}
        own |= {"delay": "1", "delay_unit": "hours"}
        given |= {f"steps-{number}-{name}": value for name, value in own.items()}
    answer = operator.post(page, given).content.decode()
    assert "is not a time zone" in answer
    assert "no graph is called" in answer
    given |= {"timezone": "Europe/Berlin", "steps-0-assistant_id": "email_compose"}
    given |= {"steps-1-assistant_id": "email_followup"}
    assert "is not resumable" in operator.post(page, given).content.decode()
    assert operator.post(page, given | {"sequence_graph": ""}).status_code == 302
    assert reverse("campaigns:import", args=["autumn"]).encode() in (
        operator.get(reverse("admin:campaigns_app_campaign_changelist")).content
    )
