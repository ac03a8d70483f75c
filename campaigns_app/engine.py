"""Claim due enrollments and take one step each: write the mail once, send it at most once, plan the next.

Every boundary is a committed row, so a process may die anywhere:
claim (lease) → touch `composed` → touch `sending` → mail handed over → touch `sent` and the next timer.
A claim that finds a touch still `sending` cannot know whether the mail left; it parks it as `unknown`.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils import timezone

from campaigns_app import planning, sending
from campaigns_app.models import Campaign, Enrollment, InboundEvent, Touch
from campaigns_app.planning import window_of
from campaigns_app.services import suppressions
from campaigns_app.writing import compose
from contract.errors import LangGraphError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from django.db.models import QuerySet

log = logging.getLogger(__name__)

#: A step whose process died is taken up again after this; a living process renews what it has in hand.
LEASE = dt.timedelta(seconds=30)
#: Limits count the mails of any such span.
THROTTLE = dt.timedelta(days=1)
#: A mail still "sending" after this was left behind by a dead process, whatever became of its enrollment.
ABANDONED = dt.timedelta(minutes=5)
#: Tries of one step before a person is asked.
MAX_ATTEMPTS = 8
#: How long a step waits for an answer to be read before it looks again.
UNREAD_PAUSE = dt.timedelta(minutes=2)
DIED = "The process ended while the mail was being handed over; it may have gone out."

CLAIM = """
    UPDATE campaigns_app_enrollment SET due_at = now() + make_interval(secs => %s), claimed_by = %s, attempts = attempts + 1
    WHERE id IN (
        SELECT id FROM campaigns_app_enrollment
        WHERE status = 'active' AND due_at <= now()
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING id
"""


def claim_due(*, worker: str, limit: int) -> list[uuid.UUID]:
    """Lease up to `limit` due enrollments to `worker`; other workers skip what is claimed."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [LEASE.total_seconds(), worker, limit])
        return [row[0] for row in cursor.fetchall()]


def renew(ids: Collection[uuid.UUID], *, worker: str) -> None:
    """Keep the lease on steps in hand, so that nobody else takes them up while they run."""
    Enrollment.objects.filter(pk__in=ids, claimed_by=worker, status=Enrollment.Status.ACTIVE).update(
        due_at=timezone.now() + LEASE
    )


def advance(enrollment_id: uuid.UUID, line: sending.Line | None = None) -> None:
    """Take the next step of one claimed enrollment. Any failure leaves a row that says so and a later due time."""
    enrollment = Enrollment.objects.select_related("campaign__mailbox", "contact").get(pk=enrollment_id)
    if enrollment.status != Enrollment.Status.ACTIVE:
        return
    step = enrollment.campaign.steps.filter(position=enrollment.position).first()
    if step is None:
        finish(enrollment)
        return
    touch = Touch.objects.filter(enrollment=enrollment, step=step).first()
    if touch is None:
        if later := not_yet(enrollment):  # no letter is written long before it leaves
            put_off(enrollment, later)
            return
        try:
            touch = compose(enrollment, step)
        except LangGraphError as error:
            retry_later(enrollment, f"{error.kind}: {error}")
            return
    if committed := commit_to_send(enrollment, touch):
        with nullcontext(line) if line else closing(sending.Line()) as open_line:
            outcome = open_line.hand_over(committed)
        settle(committed, outcome)


@transaction.atomic
def commit_to_send(enrollment: Enrollment, touch: Touch) -> Touch | None:
    """Decide under locks whether the mail goes out now. The touch, once it is promised; after that never again.

    The locks of campaign and mailbox make the throttle exact: nobody else counts or commits a send of theirs
    meanwhile. The enrollment's lock orders this against replies: one recorded before wins. They are taken in this
    order everywhere, the campaign's first.
    """
    campaign = Campaign.objects.select_for_update().select_related("mailbox").get(pk=enrollment.campaign_id)
    row = Enrollment.objects.select_for_update(of=("self",)).select_related("contact").get(pk=enrollment.pk)
    row.campaign = campaign
    held = Touch.objects.select_for_update(of=("self",)).select_related("step").get(pk=touch.pk)
    held.enrollment = row
    if row.status != Enrollment.Status.ACTIVE or row.position != held.step.position:
        return None
    if held.status == Touch.Status.SENDING:
        park(row, held, DIED)
        return None
    if held.status != Touch.Status.COMPOSED:
        return None
    if suppressions(row.contact.email).exists():
        planning.end(row, Enrollment.Status.STOPPED)
        return None
    if later := not_yet(row):
        put_off(row, later)
        return None
    held.status, held.sending_at = Touch.Status.SENDING, timezone.now()
    held.promise = promise_of(row)
    held.save(update_fields=["status", "sending_at", "promise"])
    return held


def promise_of(enrollment: Enrollment) -> dict[str, object]:
    """What this send is held to; kept with it, so that a later edit of the campaign rewrites no history."""
    campaign = enrollment.campaign
    window = window_of(campaign, enrollment.contact)
    return {
        "weekdays": sorted(window.weekdays),
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "zone": window.zone.key,
        "mailbox_limit": campaign.mailbox.daily_limit,
        "campaign_limit": campaign.daily_limit,
    }


def put_off(enrollment: Enrollment, until: dt.datetime) -> None:
    Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.Status.ACTIVE).update(
        due_at=until, claimed_by="", attempts=0
    )


def not_yet(enrollment: Enrollment) -> dt.datetime | None:
    """When this mail may go out instead, or None when it may go out now.

    Exact for a caller that holds the locks of campaign and mailbox; for any other a first look.
    """
    now = timezone.now()
    campaign = enrollment.campaign
    window = window_of(campaign, enrollment.contact)
    if not window.is_open(now):
        return window.next_open(now)
    unread = InboundEvent.objects.filter(kind=InboundEvent.Kind.MESSAGE, touch__enrollment_id=enrollment.pk)
    if unread.exists():
        return window.next_open(now + UNREAD_PAUSE)
    of_mailbox = Touch.objects.filter(step__campaign__mailbox=campaign.mailbox_id)
    of_campaign = Touch.objects.filter(step__campaign=campaign.pk)
    for sends, limit in ((of_mailbox, campaign.mailbox.daily_limit), (of_campaign, campaign.daily_limit)):
        if free_at := throttled_until(sends, limit, now):
            return window.next_open(free_at)
    return None


def throttled_until(sends: QuerySet[Touch], limit: int, now: dt.datetime) -> dt.datetime | None:
    """When one more of these mails fits into a day of `limit`; None when it fits now."""
    if not limit:
        return now + THROTTLE
    committed = sends.filter(sending_at__gt=now - THROTTLE)
    if committed[:limit].count() < limit:
        return None
    oldest_counted = committed.order_by("-sending_at")[limit - 1].sending_at or now
    return oldest_counted + THROTTLE + dt.timedelta(seconds=1)


def park(enrollment: Enrollment, touch: Touch, why: str) -> None:
    touch.status, touch.error = Touch.Status.UNKNOWN, why
    touch.save(update_fields=["status", "error"])
    Enrollment.objects.filter(pk=enrollment.pk).exclude(status__in=Enrollment.ENDED).update(
        status=Enrollment.Status.PARKED, claimed_by="", last_error=why
    )


def park_abandoned() -> int:
    """Give up on mails whose process died while sending and whose enrollment no claim will visit again."""
    left = Touch.objects.filter(
        status=Touch.Status.SENDING, sending_at__lt=timezone.now() - ABANDONED
    ).values_list("pk", "enrollment_id")
    return sum(park_one(*each) for each in left)


@transaction.atomic
def park_one(touch_id: uuid.UUID, enrollment_id: uuid.UUID) -> bool:
    row = Enrollment.objects.select_for_update().get(pk=enrollment_id)
    touch = Touch.objects.select_for_update().get(pk=touch_id)
    if touch.status != Touch.Status.SENDING:
        return False
    park(row, touch, DIED)
    return True


@transaction.atomic
def settle(touch: Touch, outcome: sending.Outcome) -> None:
    """Write down what the mail server said, and plan what follows from it."""
    row = (
        Enrollment.objects.select_for_update(of=("self",))
        .select_related("campaign", "contact")
        .get(pk=touch.enrollment_id)
    )
    if outcome.kind is sending.Kind.SENT:
        planning.confirm_sent(row, touch, at=timezone.now())
    elif outcome.kind is sending.Kind.UNKNOWN:
        park(row, touch, outcome.detail)
    elif outcome.kind is sending.Kind.REFUSED:
        touch.status, touch.error, touch.sending_at = Touch.Status.FAILED, outcome.detail, None
        touch.save(update_fields=["status", "error", "sending_at"])
        row.last_error = outcome.detail
        row.save(update_fields=["last_error"])
        planning.end(row, Enrollment.Status.FAILED)
    else:
        touch.status, touch.sending_at = Touch.Status.COMPOSED, None
        touch.save(update_fields=["status", "sending_at"])
        planning.unpark(
            row
        )  # who thought this process dead has parked it; the mail is known not to have left
        retry_later(row, outcome.detail)


@transaction.atomic
def finish(enrollment: Enrollment) -> None:
    planning.end(Enrollment.objects.select_for_update().get(pk=enrollment.pk), Enrollment.Status.FINISHED)


def retry_later(enrollment: Enrollment, why: str) -> None:
    """Try the step again with growing pauses (30 s … 1 h); after MAX_ATTEMPTS a person has to look."""
    log.warning("campaign step failed", extra={"enrollment": str(enrollment.pk), "why": why})
    fields: dict[str, object] = {"last_error": why[:2_000], "claimed_by": ""}
    if enrollment.attempts >= MAX_ATTEMPTS:
        fields["status"] = Enrollment.Status.PARKED
    else:
        pause = min(30 * 2 ** max(enrollment.attempts - 1, 0), 3_600)
        fields["due_at"] = timezone.now() + dt.timedelta(seconds=pause)
    Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.Status.ACTIVE).update(**fields)
