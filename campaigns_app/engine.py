"""Claim due enrollments and take one step each: write the mail once, send it at most once, plan the next.

Every boundary is a committed row, so a process may die anywhere:
claim (lease) → touch `composed` → touch `sending` → mail handed over → touch `sent` and the next timer.
A claim that finds a touch still `sending` cannot know whether the mail left; it parks it as `unknown`.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils import timezone

from campaigns_app import planning, sending
from campaigns_app.models import Campaign, Enrollment, InboundEvent, Mailbox, Suppression, Touch
from campaigns_app.planning import window_of
from campaigns_app.writing import ensure_composed
from contract.errors import LangGraphError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

log = logging.getLogger(__name__)

#: A step whose process died is taken up again after this; a living process renews what it has in hand.
LEASE = dt.timedelta(seconds=30)
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


def advance(enrollment_id: uuid.UUID) -> None:
    """Take the next step of one claimed enrollment. Any failure leaves a row that says so and a later due time."""
    enrollment = Enrollment.objects.select_related("campaign__mailbox", "contact").get(pk=enrollment_id)
    if enrollment.status != Enrollment.Status.ACTIVE:
        return
    step = enrollment.campaign.steps.filter(position=enrollment.position).first()
    if step is None:
        finish(enrollment)
        return
    if postpone(enrollment):
        return
    try:
        touch = ensure_composed(enrollment, step)
    except LangGraphError as error:
        retry_later(enrollment, f"{error.kind}: {error}")
        return
    if not commit_to_send(enrollment, touch):
        return
    outcome = sending.hand_over(touch)
    settle(touch, outcome)


@transaction.atomic
def commit_to_send(enrollment: Enrollment, touch: Touch) -> bool:
    """Decide under locks whether the mail goes out now. After this commits, it has been promised once.

    The enrollment's lock orders this against replies: a reply recorded before wins. The mailbox's lock makes
    the throttle exact: nobody else counts or commits a send of this mailbox meanwhile.
    """
    row = (
        Enrollment.objects.select_for_update(of=("self",))
        .select_related("campaign__mailbox", "contact")
        .get(pk=enrollment.pk)
    )
    held = Touch.objects.select_for_update(of=("self",)).select_related("step").get(pk=touch.pk)
    if row.status != Enrollment.Status.ACTIVE or row.position != held.step.position:
        return False
    if held.status == Touch.Status.SENDING:
        park(row, held, DIED)
        return False
    if held.status != Touch.Status.COMPOSED:
        return False
    if Suppression.objects.filter(email__iexact=row.contact.email).exists():
        planning.end(row, Enrollment.Status.STOPPED)
        return False
    if later := not_yet(row, locked=True):
        put_off(row, later)
        return False
    held.status, held.sending_at = Touch.Status.SENDING, timezone.now()
    held.promise = promise_of(row)
    held.save(update_fields=["status", "sending_at", "promise"])
    return True


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


def postpone(enrollment: Enrollment) -> bool:
    """Put off a step that could not be sent now anyway, so that no letter is written long before it leaves.

    A mail already promised is not put off: what became of it has to be found out.
    """
    if enrollment.touches.filter(step__position=enrollment.position, status=Touch.Status.SENDING).exists():
        return False
    later = not_yet(enrollment, locked=False)
    if later:
        put_off(enrollment, later)
    return later is not None


def put_off(enrollment: Enrollment, until: dt.datetime) -> None:
    Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.Status.ACTIVE).update(
        due_at=until, claimed_by="", attempts=0
    )


def not_yet(enrollment: Enrollment, *, locked: bool) -> dt.datetime | None:
    """When this mail may go out instead, or None when it may go out now.

    Exact under locks alone; without them a first look.
    """
    now = timezone.now()
    window = window_of(enrollment.campaign, enrollment.contact)
    if not window.is_open(now):
        return window.next_open(now)
    if InboundEvent.objects.filter(
        kind=InboundEvent.Kind.MESSAGE, touch__enrollment_id=enrollment.pk
    ).exists():
        return window.next_open(now + UNREAD_PAUSE)
    mailbox = enrollment.campaign.mailbox
    if locked:
        mailbox = Mailbox.objects.select_for_update().get(pk=mailbox.pk)
        Campaign.objects.select_for_update().get(pk=enrollment.campaign_id)
    day_ago = now - dt.timedelta(days=1)
    committed = Touch.objects.filter(sending_at__gt=day_ago)
    of_mailbox = committed.filter(enrollment__campaign__mailbox=mailbox)
    of_campaign = committed.filter(enrollment__campaign=enrollment.campaign)
    for sends, limit in ((of_mailbox, mailbox.daily_limit), (of_campaign, enrollment.campaign.daily_limit)):
        if limit and sends.count() >= limit:
            oldest_counted = sends.order_by("-sending_at")[limit - 1].sending_at or now
            return window.next_open(oldest_counted + dt.timedelta(days=1, seconds=1))
        if not limit:
            return window.next_open(now + dt.timedelta(days=1))
    return None


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
