"""The boundaries of a step: what is promised once is sent at most once, and an answer always wins."""

from __future__ import annotations

import datetime as dt
import email
import threading
from contextlib import closing
from email import policy
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from campaigns_app import engine, enrolling, ledger, loop, replies, sending, services
from campaigns_app.models import Campaign, Contact, Enrollment, InboundEvent, Suppression, Tally, Touch
from feedback_app.models import Feedback
from tests.campaigns.conftest import advance, composed, enroll

if TYPE_CHECKING:
    import uuid

    from tests.campaigns.conftest import Mailserver

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_sent_step_plans_the_next_and_is_never_sent_again(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    enrollment.refresh_from_db()
    assert (enrollment.position, enrollment.status) == (1, "active")
    assert enrollment.due_at > timezone.now() + dt.timedelta(hours=1)
    assert engine.commit_to_send([enrollment.pk]) == []
    assert len(mailserver.received) == 1
    content = mailserver.received[0].content
    assert isinstance(content, bytes)
    assert touch.message_id.encode() in content
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in content


def test_the_second_mail_answers_the_first(campaign: Campaign, mailserver: Mailserver) -> None:
    enrollment = enroll(campaign)
    first = composed(enrollment)
    advance(enrollment.pk)
    composed(enrollment, position=1)
    advance(enrollment.pk)
    content = mailserver.received[1].content
    assert isinstance(content, bytes)
    assert f"In-Reply-To: {first.message_id}".encode() in content
    enrollment.refresh_from_db()
    assert enrollment.status == "finished"


def test_a_connection_lost_after_data_parks_and_is_never_resent(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    mailserver.drop_after_data = True
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    touch.refresh_from_db()
    enrollment.refresh_from_db()
    assert (touch.status, enrollment.status) == ("unknown", "parked")
    Enrollment.objects.update(due_at=timezone.now())
    assert engine.claim_due(worker="w", limit=10) == []
    advance(enrollment.pk)
    assert len(mailserver.received) == 1


def test_a_process_that_died_while_sending_leaves_unknown_not_a_second_mail(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    assert engine.commit_to_send([enrollment.pk])  # and then the process is gone
    advance(enrollment.pk)
    touch.refresh_from_db()
    assert touch.status == "unknown"
    assert mailserver.received == []


@pytest.mark.parametrize(("answer", "state"), [("451 later", "active"), ("550 no", "failed")])
def test_what_the_server_refuses_is_not_sent(
    campaign: Campaign, mailserver: Mailserver, answer: str, state: str
) -> None:
    mailserver.answer = answer
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    enrollment.refresh_from_db()
    touch.refresh_from_db()
    assert enrollment.status == state
    assert answer.split()[0] in enrollment.last_error
    assert touch.status == ("composed" if state == "active" else "failed")


def test_a_reply_recorded_before_the_commit_wins(campaign: Campaign, mailserver: Mailserver) -> None:
    enrollment = enroll(campaign)
    first = composed(enrollment)
    advance(enrollment.pk)
    second = composed(enrollment, position=1)
    replies.record_event(kind="reply", touch=first, source_event_id="evt-1", text="Yes, please.")
    advance(enrollment.pk)
    second.refresh_from_db()
    assert (second.status, len(mailserver.received)) == ("composed", 1)


def test_a_reply_is_feedback_on_the_run_that_wrote_the_mail_once(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    touch = composed(enroll(campaign))
    for _ in range(2):
        replies.record_event(kind="reply", touch=touch, source_event_id="evt-1")
    feedback = Feedback.objects.get()
    assert (str(feedback.run_id), feedback.key, feedback.score) == (
        touch.langsmith_run_id,
        "reply_received",
        1.0,
    )
    assert InboundEvent.objects.count() == 1


def test_a_bounce_proves_that_an_unknown_mail_left_and_suppresses(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    mailserver.drop_after_data = True
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    replies.record_event(kind="hard_bounce", touch=touch, source_event_id="b-1")
    touch.refresh_from_db()
    enrollment.refresh_from_db()
    assert (touch.status, enrollment.status) == ("sent", "bounced")
    assert Suppression.objects.get().email == "lena@brightwell.example"


def test_a_suppression_stops_a_send_that_was_due(campaign: Campaign, mailserver: Mailserver) -> None:
    enrollment = enroll(campaign)
    composed(enrollment)
    services.suppress(email="LENA@brightwell.example", reason="manual")
    advance(enrollment.pk)
    assert mailserver.received == []


def test_two_claimers_share_what_is_due_without_overlap(campaign: Campaign) -> None:
    rows = [{"email": f"p{n}@example.com", "name": f"P {n}"} for n in range(40)]
    enrolling.enroll(campaign=campaign, rows=rows)
    taken: list[list[uuid.UUID]] = []

    def claim() -> None:
        from django.db import connection

        taken.append(engine.claim_due(worker=threading.current_thread().name, limit=25))
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken[0]) + len(taken[1]) == 40
    assert not set(taken[0]) & set(taken[1])


def test_the_throttle_is_exact(campaign: Campaign, mailserver: Mailserver) -> None:
    campaign.mailbox.daily_limit = 2
    campaign.mailbox.save()
    people = [enroll(campaign, f"p{n}@example.com") for n in range(3)]
    for each in people:
        composed(each)
        advance(each.pk)
    assert len(mailserver.received) == 2
    people[2].refresh_from_db()
    assert people[2].due_at > timezone.now() + dt.timedelta(hours=23)


def test_the_ledger_names_what_breaks_a_promise(campaign: Campaign, mailserver: Mailserver) -> None:
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    advance(enrollment.pk)
    assert all(each.ok for each in ledger.invariants())
    late = timezone.now() + dt.timedelta(hours=1)
    replies.record_event(kind="reply", touch=touch, source_event_id="evt-1")
    Touch.objects.update(sending_at=late, langsmith_run_id="")
    red = [each for each in ledger.invariants() if not each.ok]
    broken = {each.name: [row.id for row in each.violations] for each in red}
    assert {row.enrollment_id for each in red for row in each.violations} == {str(enrollment.pk)}
    assert broken["nothing after reply, unsubscribe or hard bounce"] == [str(touch.pk)]
    assert broken["every sent touch has a run id"] == [str(touch.pk)]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"email": "nobody", "name": "N"}, "email"),
        ({"email": "a@example.com", "name": "N\r\nBcc: x@example.com"}, "name"),
        ({"email": "a@example.com", "name": ""}, "name"),
        ({"email": "a@example.com", "name": "N", "timezone": "Mars/Olympus"}, "timezone"),
        ({"email": "a@example.com", "name": "N", "phone": "1"}, "phone"),
        ({"email": "a@example.com", "name": "N", "facts": "a\x00b"}, "facts"),
        ({"email": "a@example.com", "name": "N\ud800"}, "name"),
    ],
)
def test_a_bad_row_names_its_number_and_field(campaign: Campaign, row: dict[str, str], field: str) -> None:
    report = enrolling.enroll(campaign=campaign, rows=[{"email": "ok@example.com", "name": "Ok"}, row])
    assert report.enrolled == 1
    assert report.errors[0].startswith(f"row 2: {field}: ")


def test_pausing_holds_everything_and_resuming_plans_from_now(campaign: Campaign) -> None:
    enrollment = enroll(campaign)
    services.pause(campaign=campaign)
    assert engine.claim_due(worker="w", limit=10) == []
    services.activate(campaign=campaign)
    assert engine.claim_due(worker="w", limit=10) == [enrollment.pk]


def test_an_unsubscribe_link_of_somebody_else_is_refused(client: Any) -> None:
    assert client.post("/campaigns/unsubscribe/forged:token/").status_code == 404


def test_one_click_unsubscribe_needs_no_login(campaign: Campaign, client: Any) -> None:
    touch = composed(enroll(campaign))
    path = sending.unsubscribe_url(touch).partition("//")[2].partition("/")[2]
    assert client.post(f"/{path}").status_code == 200
    assert Enrollment.objects.get().status == "unsubscribed"


def test_an_event_for_no_mail_of_ours_names_the_field() -> None:
    with pytest.raises(ValidationError) as caught:
        replies.touch_for(message_ids=["<nobody@example.com>"])
    assert "message_ids" in caught.value.message_dict


def test_one_connection_carries_many_mails_and_a_lost_one_is_made_anew(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    people = [enroll(campaign, f"p{number}@brightwell.example") for number in range(4)]
    for each in people:
        composed(each)
    with closing(sending.Line()) as line:
        for each in people[:2]:
            advance(each.pk, line)
        assert mailserver.connections == 1
        mailserver.answer = "421 that is enough"  # of the connection it was kept on, and of the next
        advance(people[2].pk, line)
        assert mailserver.connections == 2
        mailserver.answer = "250 OK"
        advance(people[3].pk, line)
    assert mailserver.connections == 3
    assert len(mailserver.received) == 3
    assert [each.status for each in Touch.objects.order_by("enrollment__contact_id")] == [
        "sent",
        "sent",
        "composed",
        "sent",
    ]


def test_a_clock_that_jumps_sends_nothing_twice_and_breaks_no_limit(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    services.save_mailbox(address="mara@northbeam.example", display_name="", daily_limit=2)
    people = [enroll(campaign, f"p{number}@brightwell.example") for number in range(3)]
    for each in people:
        composed(each)
    began = timezone.now()
    for hours, each in ((0, people[0]), (5, people[1]), (-3, people[0]), (-3, people[2]), (6, people[2])):
        with time_machine.travel(began + dt.timedelta(hours=hours), tick=True):
            advance(each.pk)
    assert len(mailserver.received) == 2
    assert [each for each in ledger.invariants() if "unclaimed" not in each.name and not each.ok] == []
    with time_machine.travel(began + dt.timedelta(hours=30), tick=True):
        advance(people[2].pk)
    assert len(mailserver.received) == 3
    assert Tally.objects.get(campaign=campaign).promised == 1


def test_a_campaign_that_moves_brings_its_mails_into_the_limit_of_the_mailbox(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    people = [enroll(campaign, f"p{number}@brightwell.example") for number in range(3)]
    for each in people[:2]:
        composed(each)
        advance(each.pk)
    fresh = services.save_mailbox(address="new@northbeam.example", display_name="", daily_limit=2)
    Campaign.objects.filter(pk=campaign.pk).update(mailbox=fresh)
    composed(people[2])
    advance(people[2].pk)
    assert len(mailserver.received) == 2


def test_a_name_with_quotes_stays_one_address(campaign: Campaign, mailserver: Mailserver) -> None:
    services.save_mailbox(address="mara@northbeam.example", display_name='Mara "M" Ott, Sales', daily_limit=9)
    enrollment = enroll(campaign)
    composed(enrollment)
    advance(enrollment.pk)
    content = mailserver.received[0].content
    assert isinstance(content, bytes)
    sender = email.message_from_bytes(content, policy=policy.default)["From"].addresses
    assert [(each.display_name, each.addr_spec) for each in sender] == [
        ('Mara "M" Ott, Sales', "mara@northbeam.example")
    ]


def test_a_suppression_is_found_by_its_index(campaign: Campaign) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = services.suppressions("Lena@Brightwell.example").explain()
        cursor.execute("RESET enable_seqscan")
    assert "one_suppression_per_address" in plan


@pytest.mark.parametrize("midnight", ["2026-03-29T00:00", "2026-10-25T00:00"])
def test_the_hour_a_clock_change_skips_or_repeats_is_read_as_the_ledger_reads_it(
    campaign: Campaign, midnight: str
) -> None:
    Campaign.objects.update(timezone="Europe/Berlin", window_start=dt.time(1, 40), window_end=dt.time(2, 50))
    began = dt.datetime.fromisoformat(midnight).replace(tzinfo=dt.UTC) - dt.timedelta(hours=1)
    promised = []
    for number in range(16):  # quarters of an hour: 00:00 to 04:00 in winter time
        at = began + dt.timedelta(minutes=15 * number)
        with time_machine.travel(at, tick=False):
            enrollment = enroll(campaign, f"p{number}@brightwell.example")
            composed(enrollment)
            promised += [at] * len(engine.commit_to_send([enrollment.pk]))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT at FROM unnest(%s::timestamptz[]) at WHERE (at AT TIME ZONE 'Europe/Berlin')::time "
            "BETWEEN '01:40' AND '02:49:59' ORDER BY at",
            [[began + dt.timedelta(minutes=15 * number) for number in range(16)]],
        )
        open_at = [at for (at,) in cursor.fetchall()]
    assert promised == open_at
    assert len(open_at) == (1 if "-03-" in midnight else 9)
    assert [each.name for each in ledger.invariants() if "window" in each.name and not each.ok] == []


def test_who_is_enrolled_while_the_campaign_is_being_paused_gets_nothing(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    enrollment = enroll(campaign)
    composed(enrollment)
    services.pause(campaign=campaign)
    Enrollment.objects.update(status="active")
    assert engine.commit_to_send([enrollment.pk]) == []
    assert engine.take_up([enrollment.pk]) == []
    assert Enrollment.objects.get().status == "paused"


def test_a_late_outcome_changes_nothing_that_was_settled_meanwhile(
    campaign: Campaign, mailserver: Mailserver
) -> None:
    enrollment = enroll(campaign)
    touch = composed(enrollment)
    (promised,) = engine.commit_to_send([enrollment.pk])
    assert engine.commit_to_send([enrollment.pk]) == []  # somebody who thought this process dead
    replies.resolve_touch(touch_id=touch.pk, sent=False, actor="mara")
    (again,) = engine.commit_to_send([enrollment.pk])
    assert engine.settle({promised: sending.Outcome(sending.Kind.REFUSED, "late")}) == []
    touch.refresh_from_db()
    assert (touch.status, touch.sending_at) == ("sending", again.sending_at)


def test_an_outcome_waits_for_who_holds_the_row(campaign: Campaign) -> None:
    enrollment = enroll(campaign)
    composed(enrollment)
    (touch,) = engine.commit_to_send([enrollment.pk])
    left: list[list[Touch]] = []

    def settle() -> None:
        left.append(engine.settle({touch: sending.Outcome(sending.Kind.SENT)}))
        connection.close()

    with transaction.atomic():
        Enrollment.objects.select_for_update().get(pk=enrollment.pk)
        other = threading.Thread(target=settle)
        other.start()
        other.join()
    assert left == [[touch]]
    settle()
    assert left[1] == []
    assert Touch.objects.get().status == "sent"


def test_one_spoiled_step_spoils_no_other(campaign: Campaign, mailserver: Mailserver) -> None:
    people = [enroll(campaign, f"p{number}@brightwell.example") for number in range(4)]
    for each in people:
        composed(each)
    Contact.objects.filter(email__startswith="p2").update(timezone="Mars/Olympus")
    with loop.Desk("desk") as desk:
        desk.turn()
        while desk.unsettled:
            desk.wait()
            desk.turn()
    states = dict(Enrollment.objects.values_list("contact__email", "position"))
    assert [states[f"p{number}@brightwell.example"] for number in range(4)] == [1, 1, 0, 1]
    spoiled = Enrollment.objects.get(contact__email__startswith="p2")
    assert "Mars" in spoiled.last_error
    assert spoiled.due_at > timezone.now() + dt.timedelta(seconds=20)


def test_a_letter_no_mail_can_be_made_of_fails_alone(campaign: Campaign, mailserver: Mailserver) -> None:
    enrollment = enroll(campaign)
    composed(enrollment)
    Touch.objects.update(subject="A\nBcc: x@example.com")
    advance(enrollment.pk)
    assert (Touch.objects.get().status, Enrollment.objects.get().status) == ("failed", "failed")
    assert mailserver.received == []
