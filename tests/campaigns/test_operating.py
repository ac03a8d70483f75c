"""What an operator does: import, steer many at once, resume without a burst; what is refused and why."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from campaigns_app import engine, enrolling, planning, services, steering, writing
from campaigns_app.models import Campaign, Contact, Enrollment, Step, Touch
from campaigns_app.schedule import Spreader, Window
from tests.campaigns.conftest import ALWAYS, advance, composed, enroll

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")


def people(campaign: Campaign, count: int) -> list[Enrollment]:
    rows = [{"email": f"p{n}@example.com", "name": f"P {n}"} for n in range(count)]
    assert enrolling.enroll(campaign=campaign, rows=rows).enrolled == count
    return list(campaign.enrollments.order_by("contact__email"))


def another(slug: str = "winter", **fields: Any) -> Campaign:
    steps = fields.pop("steps", [{"delay": 0, "delay_unit": "hours"}])
    made = services.create_campaign(
        name=slug.title(), slug=slug, mailbox="mara@northbeam.example", steps=steps, **ALWAYS, **fields
    )
    services.activate(campaign=made)
    return made


def test_every_row_of_a_file_has_an_outcome(campaign: Campaign) -> None:
    services.suppress(email="gone@example.com", reason="manual")
    enroll(another(), "busy@example.com")
    data = (
        "email;name;company\n"
        "a@example.com;A;Northwind\n"
        "A@example.com;A again;\n"
        "nobody;N;\n"
        "gone@example.com;G;\n"
        "busy@example.com;B;\n"
        "x@example.com;X;Y;Z\n"
    )
    report = enrolling.enroll(campaign=campaign, rows=enrolling.read_csv(data.encode("utf-8-sig")))
    assert [row.outcome for row in report.rows] == [
        "enrolled",
        "already",
        "refused",
        "refused",
        "elsewhere",
        "refused",
    ]
    assert "Winter" in report.rows[4].message
    assert report.errors[0] == "row 3: email: 'nobody' is not an e-mail address."


def test_somebody_active_elsewhere_is_enrolled_when_one_says_so(campaign: Campaign) -> None:
    enroll(another(), "busy@example.com")
    rows = [{"email": "busy@example.com", "name": "B"}]
    assert enrolling.enroll(campaign=campaign, rows=rows).elsewhere == 1
    assert enrolling.enroll(campaign=campaign, rows=rows, also_elsewhere=True).enrolled == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"name\nA\n", "email and name"),
        (b"email,name,email\na@x.example,A,b\n", "named twice"),
        (b"email,name\n\xff\xfe,A\n", "Line 2"),
        (b'email,name\na@x.example,"A\n', "Line 2"),
        (b"email,name\na\x00b,A\n", "Line 2"),
        (b"", "email and name"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        enrolling.read_csv(data)
    assert why in caught.value.message_dict["file"][0]


@pytest.mark.parametrize(
    ("fields", "name", "why"),
    [
        ({"steps": []}, "steps", "at least one"),
        ({"steps": [{"assistant_id": "nobody"}]}, "steps", "no graph is called"),
        ({"steps": [{"assistant_id": "extract_stack"}]}, "steps", "writes no letter"),
        ({"steps": [{"assistant_id": "email_followup"}]}, "steps", "there is none"),
        ({"steps": [{"variants": ["rude"]}]}, "steps", "no tone"),
        ({"sequence_graph": "nobody"}, "sequence_graph", "No graph is called"),
        ({"sequence_graph": "email_compose", "steps": [{}, {}]}, "sequence_graph", "not resumable"),
        ({"name": "A\r\nBcc: x@example.com"}, "name", "line breaks"),
        ({"timezone": "Mars/Olympus"}, "timezone", "not a time zone"),
        ({"mailbox": "nobody"}, "mailbox", "not an e-mail address"),
        ({"weekdays": [7]}, "weekdays", "weekday"),
        ({"window_start": dt.time(18), "window_end": dt.time(9)}, "window_end", "close after it opens"),
    ],
)
def test_a_campaign_that_cannot_run_is_refused_with_the_reason(
    fields: dict[str, Any], name: str, why: str
) -> None:
    given = {"name": "X", "slug": "x", "mailbox": "m@northbeam.example", "steps": [{}]} | fields
    with pytest.raises(ValidationError) as caught:
        services.create_campaign(**given)
    assert why in caught.value.message_dict[name][0]
    assert not Campaign.objects.filter(slug="x").exists()


def test_a_step_that_wrote_mails_is_not_removed(campaign: Campaign) -> None:
    composed(enroll(campaign), position=1)
    with pytest.raises(ValidationError, match="written mails"):
        services.save_campaign(campaign=campaign, mailbox="mara@northbeam.example", steps=[{}])
    assert campaign.steps.count() == 2


def test_a_follow_up_is_shown_the_mails_before_and_no_notes(campaign: Campaign) -> None:
    enrollment = enroll(campaign)
    Contact.objects.update(notes="hates golf", facts="a lab opened in Lyon\n\n")
    enrollment = Enrollment.objects.get()
    first = composed(enrollment)
    Touch.objects.update(status="sent")
    step = campaign.steps.get(position=1)
    assert step.assistant_id == "email_followup"
    spec = writing.spec_of(step.assistant_id)
    assert spec is not None
    given = writing.graph_input(
        enrollment, step, "A", writing.fields_of(spec), writing.previous_mails(enrollment, step)
    )
    assert given["previous"] == [{"subject": first.subject, "body": first.body}]
    assert given["last_one"] is True
    assert given["company"] == {"name": "brightwell.example", "facts": ["a lab opened in Lyon"]}
    assert "golf" not in str(given)


def test_a_contact_keeps_their_variant_and_both_are_used() -> None:
    campaign = another(steps=[{"variants": ["friendly", "direct"]}])
    step = campaign.steps.get()
    rows = people(campaign, 40)
    given = [writing.variant_of(row, step) for row in rows]
    assert given == [writing.variant_of(row, step) for row in rows]
    assert set(given) == {"friendly", "direct"}


def test_the_impact_is_what_is_done(campaign: Campaign) -> None:
    rows = people(campaign, 5)
    Enrollment.objects.filter(pk=rows[0].pk).update(status="replied")
    chosen = steering.Selection(campaign, q="example.com")
    for action, changed, left in (("pause", 4, 1), ("resume", 4, 1), ("skip", 4, 1), ("stop", 4, 1)):
        told = steering.impact(chosen, action)
        assert (told.affected, told.untouched) == (changed, left)
        assert steering.act(chosen, action) == changed
    states = set(campaign.enrollments.values_list("status", flat=True))
    assert states == {"stopped", "replied"}


def test_skipping_leaves_out_one_mail(campaign: Campaign) -> None:
    row = enroll(campaign)
    composed(row)
    assert steering.act(steering.Selection(campaign, ids=[row.pk]), "skip") == 1
    row.refresh_from_db()
    assert row.position == 1
    assert engine.commit_to_send([row.pk]) == []
    assert row.due_at > timezone.now() + dt.timedelta(hours=1)


def test_a_mail_nobody_knows_about_is_resolved_before_it_is_skipped(campaign: Campaign) -> None:
    row = enroll(campaign)
    composed(row)
    Touch.objects.update(status="unknown")
    Enrollment.objects.update(status="parked")
    assert steering.impact(steering.Selection(campaign), "skip").affected == 0
    assert steering.impact(steering.Selection(campaign), "resume").affected == 0


def test_who_was_paused_alone_stays_so_when_the_campaign_resumes(campaign: Campaign) -> None:
    rows = people(campaign, 2)
    steering.act(steering.Selection(campaign, ids=[rows[0].pk]), "pause")
    services.pause(campaign=campaign)
    services.activate(campaign=campaign)
    assert sorted(campaign.enrollments.values_list("status", flat=True)) == ["active", "paused"]


def test_an_unknown_action_is_refused(campaign: Campaign) -> None:
    with pytest.raises(ValidationError):
        steering.impact(steering.Selection(campaign), "delete")


@pytest.mark.django_db(transaction=True)  # the claim reads the database's clock
def test_resuming_spreads_what_is_overdue_as_the_preview_said(campaign: Campaign) -> None:
    campaign.mailbox.daily_limit = 10
    campaign.mailbox.save()
    people(campaign, 25)
    services.pause(campaign=campaign)
    Enrollment.objects.update(due_at=timezone.now() - dt.timedelta(days=3))
    preview = services.resume_preview(campaign)
    assert (preview.total, preview.overdue) == (25, 25)
    services.activate(campaign=campaign)
    due = sorted(campaign.enrollments.values_list("due_at", flat=True))
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert min(gaps) >= dt.timedelta(hours=2, minutes=23)
    assert len(engine.claim_due(worker="w", limit=100)) == 1


def test_mails_are_spread_over_open_hours_alone() -> None:
    window = Window(frozenset({0, 1, 2, 3, 4}), dt.time(9), dt.time(17), BERLIN)
    friday_noon = dt.datetime(2026, 3, 27, 12, tzinfo=BERLIN)  # the clock changes on Sunday
    spread = Spreader(window, friday_noon, per_day=8)
    times = [spread.at(n).astimezone(BERLIN) for n in range(14)]
    assert all(window.is_open(each) for each in times)
    assert [each.strftime("%a %H:%M") for each in times[:7]] == [
        "Fri 12:00",
        "Fri 13:00",
        "Fri 14:00",
        "Fri 15:00",
        "Fri 16:00",
        "Mon 09:00",
        "Mon 10:00",
    ]


def test_a_mail_left_behind_by_a_dead_process_is_parked_whatever_became_of_its_contact(
    campaign: Campaign,
) -> None:
    row = enroll(campaign)
    touch = composed(row)
    assert engine.commit_to_send([row.pk])
    planning.end(row, Enrollment.Status.REPLIED)
    planning.keep([row])
    assert engine.park_abandoned() == 0
    Touch.objects.update(sending_at=timezone.now() - dt.timedelta(minutes=6))
    assert engine.park_abandoned() == 1
    touch.refresh_from_db()
    row.refresh_from_db()
    assert (touch.status, row.status) == ("unknown", "replied")


@pytest.mark.django_db(transaction=True)  # the claim reads the database's clock
def test_a_lease_is_kept_by_who_holds_it_alone(campaign: Campaign) -> None:
    row = enroll(campaign)
    engine.claim_due(worker="one", limit=1)
    Enrollment.objects.update(due_at=timezone.now())
    engine.renew([row.pk], worker="two")
    assert Enrollment.objects.get().due_at <= timezone.now()
    engine.renew([row.pk], worker="one")
    assert Enrollment.objects.get().due_at > timezone.now()


def test_no_letter_is_written_that_could_not_be_sent_now(campaign: Campaign) -> None:
    row = enroll(campaign)
    Campaign.objects.update(daily_limit=0)
    advance(row.pk)  # no platform runs here: writing would fail
    row.refresh_from_db()
    assert (row.last_error, Touch.objects.count()) == ("", 0)
    assert row.due_at > timezone.now() + dt.timedelta(hours=23)


def test_steps_know_their_days() -> None:
    assert [
        Step(delay=delay, delay_unit=unit).days for delay, unit in ((3, "business_days"), (36, "hours"))
    ] == [
        3,
        2,
    ]


def test_a_thread_is_read_wherever_somebody_may_have_woken_it_before(campaign: Campaign) -> None:
    row = enroll(campaign)

    def claimed() -> Enrollment:
        Enrollment.objects.update(due_at=timezone.now() - dt.timedelta(hours=1))
        assert engine.claim_due(worker="w", limit=10) == [row.pk]
        return Enrollment.objects.get()

    def again(action: str) -> None:
        steering.act(steering.Selection(campaign), action)

    assert not claimed().tried_before
    assert claimed().tried_before, "the lease of a process that died"
    again("pause")
    again("resume")
    assert claimed().tried_before, "a pause does not tell what a dead process had begun"
    engine.put_off(later := Enrollment.objects.get(), timezone.now())
    later.save()
    assert claimed().tried_before
    composed(row)
    advance(row.pk)
    assert not claimed().tried_before, "the next step is nobody's yet"
