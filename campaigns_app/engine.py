"""The stages of a step, each for many enrollments at once: take it up, keep its letter, promise the mail, settle it.

Every boundary is a committed row, so a process may die anywhere:
claim (lease) → touch `composed` → touch `sending` → mail handed over → touch `sent` and the next timer.
A claim that finds a touch still `sending` cannot know whether the mail left; it parks it as `unknown`.

Rows that somebody else is changing are left out of a stage: to wait for them while holding others would be a
deadlock, and what was left out comes again.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Prefetch
from django.db.models.functions import Lower
from django.utils import timezone

from campaigns_app import planning, sending
from campaigns_app.bulk import write
from campaigns_app.gate import Gate
from campaigns_app.models import Campaign, Enrollment, Mailbox, Suppression, Touch
from campaigns_app.planning import window_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Mapping, Sequence

log = logging.getLogger(__name__)

#: A step whose process died is taken up again after this; a living process renews what it has in hand.
LEASE = dt.timedelta(seconds=30)
#: A mail still "sending" after this was left behind by a dead process, whatever became of its enrollment.
ABANDONED = dt.timedelta(minutes=5)
#: Tries of one step before a person is asked.
MAX_ATTEMPTS = 8
#: A touch whose mail may or may not have left.
UNSETTLED = (Touch.Status.SENDING, Touch.Status.UNKNOWN)
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


def held_rows(ids: Iterable[uuid.UUID]) -> list[Enrollment]:
    """These enrollments, locked, with all that their next step is made of: campaign, contact, steps, touches."""
    touches = Touch.objects.select_related("step").order_by("step__position")
    rows = Enrollment.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    rows = rows.select_related("campaign__mailbox", "contact")
    rows = rows.prefetch_related("campaign__steps", Prefetch("touches", touches))
    return list(rows.filter(pk__in=ids).order_by("pk"))


def letter_of(enrollment: Enrollment) -> Touch | None:
    """The touch of the next step, once its letter is written."""
    return next(
        (each for each in enrollment.touches.all() if each.step.position == enrollment.position), None
    )


@transaction.atomic
def take_up(ids: Collection[uuid.UUID]) -> list[Enrollment]:
    """Those of the claimed enrollments that may take their next step now; the others end, rest or wait."""
    rows = held_rows(ids)
    gate = Gate(rows)
    going, planned = [], []
    for row in rows:
        if at_rest(row):
            planned.append(row)
        elif all(step.position != row.position for step in row.campaign.steps.all()):
            planning.end(row, Enrollment.Status.FINISHED)
            planned.append(row)
        elif letter_of(row) is None and (later := gate.closed_until(row)):
            put_off(row, later)  # no letter is written long before it leaves
            planned.append(row)
        else:
            going.append(row)
    planning.keep(planned)
    return going


def at_rest(row: Enrollment) -> bool:
    """Whether nothing is to be done; who was enrolled while the campaign was being paused is paused now."""
    if row.status == Enrollment.Status.ACTIVE:
        row.status = planning.resting_status(row.campaign)
    return row.status != Enrollment.Status.ACTIVE


def keep_letters(touches: Collection[Touch]) -> list[uuid.UUID]:
    """Store letters that were written, and name their enrollments. Whoever was faster wrote the letter of a step."""
    in_order = sorted(touches, key=lambda touch: str(touch.enrollment_id))
    Touch.objects.bulk_create(in_order, ignore_conflicts=True)
    return [touch.enrollment_id for touch in in_order]


@transaction.atomic
def commit_to_send(ids: Collection[uuid.UUID]) -> list[Touch]:
    """Decide under locks whose mails go out now. Their touches are promised: after that never again.

    The locks of mailbox and campaign make the throttle exact: nobody else counts or commits a send of theirs
    meanwhile. The enrollment's lock orders this against replies: one recorded before wins. They are taken in this
    order everywhere.
    """
    lock_limits(ids)
    rows = held_rows(ids)
    suppressed = suppressed_of(rows)
    gate = Gate(rows)
    promised, parked, planned = [], [], []
    for row in rows:
        touch = letter_of(row)
        if touch is None:
            continue
        if at_rest(row):
            planned.append(row)
        elif touch.status == Touch.Status.SENDING:
            park(row, touch, DIED)
            parked.append(touch)
            planned.append(row)
        elif touch.status != Touch.Status.COMPOSED:
            continue
        elif row.contact.email.lower() in suppressed:
            planning.end(row, Enrollment.Status.STOPPED)
            planned.append(row)
        elif later := gate.closed_until(row):
            put_off(row, later)
            planned.append(row)
        else:
            gate.let_through(row)
            touch.status, touch.sending_at = Touch.Status.SENDING, gate.now
            touch.promise = promise_of(row)
            promised.append(touch)
    gate.keep()
    write(promised, ["status", "sending_at", "promise"])
    write(parked, ["status", "error"])
    planning.keep(planned)
    return promised


def lock_limits(ids: Collection[uuid.UUID]) -> None:
    """Lock the mailboxes and campaigns of these enrollments, in one order."""
    campaigns = Campaign.objects.filter(enrollments__in=ids).distinct().values_list("pk", "mailbox_id")
    of_each = list(campaigns)
    boxes = Mailbox.objects.filter(pk__in={mailbox for _, mailbox in of_each})
    list(boxes.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    these = Campaign.objects.filter(pk__in={pk for pk, _ in of_each})
    list(these.select_for_update(no_key=True).order_by("pk").values_list("pk"))


def suppressed_of(rows: Sequence[Enrollment]) -> set[str]:
    """Which of these contacts' addresses are suppressed, found by the index on their lower case."""
    addresses = [row.contact.email.lower() for row in rows]
    return set(
        Suppression.objects.alias(at=Lower("email"))
        .filter(at__in=addresses)
        .values_list(Lower("email"), flat=True)
    )


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


@transaction.atomic
def settle(outcomes: Mapping[Touch, sending.Outcome]) -> list[Touch]:
    """Write down what the mail server said, and plan what follows from it. Returns those of rows held elsewhere.

    A touch that was promised anew since, or settled by an event or a person, keeps what it has.
    """
    rows = {row.pk: row for row in held_rows([touch.enrollment_id for touch in outcomes])}
    left, touches, planned = [], [], []
    for sent, outcome in outcomes.items():
        row = rows.get(sent.enrollment_id)
        if row is None:
            left.append(sent)
            continue
        touch = next(each for each in row.touches.all() if each.pk == sent.pk)
        if touch.sending_at != sent.sending_at or touch.status not in UNSETTLED:
            continue
        apply(outcome, row, touch)
        touches.append(touch)
        planned.append(row)
    write(touches, ["status", "sending_at", "sent_at", "error"])
    planning.keep(planned)
    return left


def apply(outcome: sending.Outcome, row: Enrollment, touch: Touch) -> None:
    if outcome.kind is sending.Kind.SENT:
        planning.confirm_sent(row, touch, at=timezone.now())
    elif outcome.kind is sending.Kind.UNKNOWN:
        park(row, touch, outcome.detail)
    elif outcome.kind is sending.Kind.REFUSED:
        touch.status, touch.error, touch.sending_at = Touch.Status.FAILED, outcome.detail, None
        row.last_error = outcome.detail
        planning.end(row, Enrollment.Status.FAILED)
    else:
        touch.status, touch.error, touch.sending_at = Touch.Status.COMPOSED, "", None
        # Who thought this process dead has parked it; the mail is known not to have left.
        planning.unpark(row)
        retry_later(row, outcome.detail)


def put_off(row: Enrollment, until: dt.datetime) -> None:
    row.due_at, row.claimed_by = until, ""
    row.begin_anew()


def park(row: Enrollment, touch: Touch, why: str) -> None:
    touch.status, touch.error = Touch.Status.UNKNOWN, why
    if row.status not in Enrollment.ENDED:
        row.status, row.claimed_by, row.last_error = Enrollment.Status.PARKED, "", why


def retry_later(row: Enrollment, why: str) -> None:
    """Try the step again with growing pauses (30 s … 1 h); after MAX_ATTEMPTS a person has to look."""
    log.warning("campaign step failed", extra={"enrollment": str(row.pk), "why": why})
    if row.status != Enrollment.Status.ACTIVE:
        return
    row.last_error, row.claimed_by = why[:2_000], ""
    if row.attempts >= MAX_ATTEMPTS:
        row.status = Enrollment.Status.PARKED
    else:
        row.due_at = timezone.now() + dt.timedelta(seconds=min(30 * 2 ** max(row.attempts - 1, 0), 3_600))


@transaction.atomic
def put_back(failed: Mapping[uuid.UUID, str]) -> None:
    """Steps whose letter could not be written, each with the reason."""
    rows = held_rows(failed)
    for row in rows:
        retry_later(row, failed[row.pk])
    planning.keep(rows)


@transaction.atomic
def park_abandoned() -> int:
    """Give up on mails whose process died while sending and whose enrollment no claim will visit again."""
    left = Touch.objects.filter(status=Touch.Status.SENDING, sending_at__lt=timezone.now() - ABANDONED)
    ids = dict(left.values_list("pk", "enrollment_id"))
    rows = held_rows(ids.values()) if ids else []
    parked = []
    for row in rows:
        for touch in row.touches.all():
            if touch.pk in ids and touch.status == Touch.Status.SENDING:
                park(row, touch, DIED)
                parked.append(touch)
    write(parked, ["status", "error"])
    planning.keep(rows)
    return len(parked)
