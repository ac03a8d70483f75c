"""What comes back: signed, once, threaded, read by headers or a graph; nothing goes out while it is unread."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from campaigns_app import reading, replies, webhook
from campaigns_app.models import Campaign, Enrollment, InboundEvent, Suppression, Touch
from contract.errors import LangGraphError
from feedback_app.models import Feedback
from tests.campaigns.conftest import advance, composed, enroll

if TYPE_CHECKING:
    from tests.campaigns.conftest import Mailserver

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "provider-" + "s" * 32


@pytest.fixture
def post(client: Any, settings: Any) -> Any:
    settings.CAMPAIGNS_WEBHOOK_SECRET = SECRET

    def post_(body: dict[str, Any], *, secret: str = SECRET, age: float = 0, tamper: bytes = b"") -> Any:
        data = json.dumps(body).encode()
        at = int(time.time() - age)
        headers = {
            webhook.TIMESTAMP_HEADER: str(at),
            webhook.SIGNATURE_HEADER: webhook.sign(secret, at, data),
        }
        return client.post(
            "/api/campaigns/webhook", data + tamper, content_type="application/json", headers=headers
        )

    return post_


@pytest.fixture
def sent(campaign: Campaign, mailserver: Mailserver) -> Touch:
    """The first mail of a sequence, sent; its second is due now."""
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    composed(enrollment, position=1)
    Enrollment.objects.update(due_at=timezone.now())
    touch.refresh_from_db()
    assert touch.status == "sent"
    return touch


def answer(touch: Touch, text: str = "Yes, call me.", **headers: str) -> str:
    lines = {"From": "lena@brightwell.example", "Subject": f"Re: {touch.subject}", **headers}
    lines.setdefault("In-Reply-To", touch.message_id)
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + f"\r\n{text}\r\n"


BOUNCE = """From: mailer-daemon@example.com
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

Your mail could not be delivered.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; example.com

Final-Recipient: rfc822; lena@brightwell.example
Action: failed
Status: {status}

--B
Content-Type: message/rfc822

Message-ID: {message_id}
Subject: A question

Hello
--B--
"""


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({}, 201),
        ({"secret": "another-secret-" + "x" * 20}, 401),
        ({"tamper": b" "}, 401),
        ({"age": 301}, 401),
        ({"age": -301}, 401),
    ],
)
def test_only_a_fresh_signed_event_is_taken(sent: Touch, post: Any, how: dict[str, Any], status: int) -> None:
    body = {"kind": "reply", "source_event_id": "p-1", "touch_id": str(sent.pk)}
    assert post(body, **how).status_code == status
    assert InboundEvent.objects.count() == (status == 201)


def test_an_event_delivered_again_changes_nothing(sent: Touch, post: Any) -> None:
    body = {"kind": "reply", "source_event_id": "p-1", "message_ids": [sent.message_id]}
    assert [post(body).status_code for _ in range(3)] == [201, 200, 200]
    assert (InboundEvent.objects.count(), Feedback.objects.count()) == (1, 1)


def test_without_a_secret_no_event_is_taken(client: Any, settings: Any) -> None:
    settings.CAMPAIGNS_WEBHOOK_SECRET = ""
    answer_ = client.post("/api/campaigns/webhook", b"{}", content_type="application/json")
    assert answer_.status_code == 503


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "applause", "source_event_id": "p"}, "kind"),
        ({"kind": "reply"}, "source_event_id"),
        ({"kind": "reply", "source_event_id": "p", "message_ids": ["<nobody@example.com>"]}, "message_ids"),
        ({"kind": "message", "source_event_id": "p", "raw": "Subject: hello\r\n\r\nhi"}, "raw"),
        ({"kind": "reply", "source_event_id": "p\x00"}, "source_event_id"),
        ({"kind": "reply", "source_event_id": "p", "message_ids": ["<a\x00@example.com>"]}, "message_ids"),
    ],
)
def test_a_signed_event_that_makes_no_sense_names_the_field(
    post: Any, body: dict[str, Any], field: str
) -> None:
    refused = post(body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert "Value error" not in refused.json()["detail"]
    assert not InboundEvent.objects.exists()


def test_a_late_delivery_note_does_not_bring_back_who_replied(sent: Touch, post: Any) -> None:
    for number, kind in enumerate(("reply", "delivered", "soft_bounce", "out_of_office")):
        post({"kind": kind, "source_event_id": f"p-{number}", "touch_id": str(sent.pk)})
    assert Enrollment.objects.get().status == "replied"


def test_nothing_goes_out_while_an_answer_is_unread(sent: Touch, post: Any, mailserver: Mailserver) -> None:
    assert post({"kind": "message", "source_event_id": "m-1", "raw": answer(sent)}).status_code == 201
    advance(sent.enrollment_id)
    assert len(mailserver.received) == 1
    assert Enrollment.objects.get().due_at > timezone.now() + dt.timedelta(minutes=1)


def test_a_report_is_a_bounce_without_asking_a_graph(sent: Touch, post: Any) -> None:
    raw = BOUNCE.format(status="5.1.1", message_id=sent.message_id)
    post({"kind": "message", "source_event_id": "m-1", "raw": raw})
    event = InboundEvent.objects.get()
    reading.read_message(event.pk)
    event.refresh_from_db()
    assert (event.kind, Enrollment.objects.get().status) == ("hard_bounce", "bounced")
    assert Suppression.objects.get().reason == "bounced"


def test_a_message_nobody_can_read_stays_one(sent: Touch, post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_URL", "http://127.0.0.1:9")
    post({"kind": "message", "source_event_id": "m-1", "raw": answer(sent)})
    event = InboundEvent.objects.get()
    with pytest.raises(LangGraphError):
        reading.read_message(event.pk)
    assert InboundEvent.objects.get().kind == "message"
    replies.settle_message(event.pk, kind="reply", actor="mara")
    assert Enrollment.objects.get().status == "replied"
    assert replies.settle_message(event.pk, kind="unsubscribe") is False


@pytest.mark.parametrize(
    ("label", "automatic", "kind"),
    [
        ("interested", False, "reply"),
        ("not_interested", False, "reply"),
        ("question", True, "out_of_office"),
        ("unsubscribe", False, "unsubscribe"),
        ("hard_bounce", True, "hard_bounce"),
    ],
)
def test_a_machine_never_replies(label: str, automatic: bool, kind: str) -> None:
    assert reading.kind_of(label, automatic=automatic) == kind


def test_the_newest_reference_is_answered_first() -> None:
    mail = reading.parse("References: <one@x> <two@x>\r\nAuto-Submitted: auto-replied\r\n\r\nAway.")
    assert (mail.message_ids, mail.automatic) == (("<two@x>", "<one@x>"), True)


@pytest.mark.parametrize("said", [True, False])
def test_a_person_resolves_what_nobody_knows(campaign: Campaign, mailserver: Mailserver, said: bool) -> None:
    mailserver.drop_after_data = True
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    mailserver.drop_after_data = False
    replies.resolve_touch(touch_id=touch.pk, sent=said, actor="mara")
    enrollment.refresh_from_db()
    touch.refresh_from_db()
    assert enrollment.status == "active"
    assert (touch.status, enrollment.position) == (("sent", 1) if said else ("composed", 0))
    advance(enrollment.pk)
    assert len(mailserver.received) == (1 if said else 2)
    assert InboundEvent.objects.get().actor == "mara"


def test_whatever_comes_back_is_feedback_on_the_run_that_wrote_the_mail(campaign: Campaign) -> None:
    touch = composed(enroll(campaign))
    kinds = ("reply", "out_of_office", "hard_bounce", "soft_bounce", "unsubscribe", "complaint")
    for kind in kinds:
        replies.record_event(kind=kind, touch=touch, source_event_id=kind)
    given = {
        each.source_event_id: (each.key, each.score)
        for each in Feedback.objects.filter(run_id=touch.langsmith_run_id, source="outcome")
    }
    keys = ("reply_received", "out_of_office", "bounced", "soft_bounced", "unsubscribed", "complained")
    assert given == {kind: (key, 1.0) for kind, key in zip(kinds, keys, strict=True)}


def test_who_answers_the_last_mail_has_answered(campaign: Campaign) -> None:
    touch = composed(enroll(campaign))
    Enrollment.objects.update(status="finished")
    replies.record_event(kind="reply", touch=touch, source_event_id="e-1")
    assert Enrollment.objects.get().status == "replied"
    replies.record_event(kind="hard_bounce", touch=touch, source_event_id="e-2")
    assert Enrollment.objects.get().status == "replied"


def test_an_absence_pauses_until_the_business_day_after(sent: Touch) -> None:
    back = (timezone.now() + dt.timedelta(days=30)).date()
    replies.record_event(kind="out_of_office", touch=sent, source_event_id="o-1", return_date=back)
    row = Enrollment.objects.get()
    assert row.status == "active"
    assert row.due_at.date() > back
