"""Claim due enrollments and take one step each: write the mail once, send it at most once, plan the next.

Every boundary is a committed row, so a process may die anywhere:
claim (lease) → touch `composed` → touch `sending` → mail handed over → touch `sent` and the next timer.
A claim that finds a touch still `sending` cannot know whether the mail left; it parks it as `unknown`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from campaigns_app import sending
from campaigns_app.models import Campaign, Enrollment, Mailbox, Step, Suppression, Touch
from campaigns_app.schedule import next_due
from campaigns_app.services import stop_enrollment, window_of
from contract.errors import LangGraphError
from fleet.sdk import run_graph_with_meta

if TYPE_CHECKING:
    import uuid

log = logging.getLogger(__name__)

#: A crashed step is taken up again after this; longer than the deadline of the run plus the send.
LEASE = dt.timedelta(minutes=5)
COMPOSE_DEADLINE_S = 120.0
#: Tries of one step before a person is asked.
MAX_ATTEMPTS = 8

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


def advance(enrollment_id: uuid.UUID) -> None:
    """Take the next step of one claimed enrollment. Any failure leaves a row that says so and a later due time."""
    enrollment = Enrollment.objects.select_related("campaign__mailbox", "contact").get(pk=enrollment_id)
    step = enrollment.campaign.steps.filter(position=enrollment.position).first()
    if step is None:
        finish(enrollment)
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


def touch_key(enrollment: Enrollment, step: Step, variant: str) -> str:
    """The idempotency key of one mail: campaign, contact, step and variant."""
    parts = (enrollment.campaign_id, enrollment.contact_id, step.position, variant)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def ensure_composed(enrollment: Enrollment, step: Step, variant: str = "A") -> Touch:
    """The touch of this step: the one there is, or a new one written by the step's graph."""
    key = touch_key(enrollment, step, variant)
    if existing := Touch.objects.filter(key=key).first():
        return existing
    result = run_graph_with_meta(step.assistant_id, graph_input(enrollment), timeout=COMPOSE_DEADLINE_S)
    subject, body = mail_of(result.output)
    touch, _ = Touch.objects.get_or_create(
        key=key,
        defaults={
            "enrollment": enrollment,
            "step": step,
            "variant": variant,
            "message_id": f"<{key[:40]}@{settings.MAIL_DOMAIN}>",
            "subject": subject,
            "body": body,
            "langsmith_run_id": result.langsmith_run_id,
            "request_id": result.request_id,
            "pool": result.pool,
            "routing_version": result.routing_version,
        },
    )
    return touch


def graph_input(enrollment: Enrollment) -> dict[str, object]:
    """The input of a graph that writes: who writes to whom, about what (`contract.shapes`)."""
    contact, campaign = enrollment.contact, enrollment.campaign
    reader = {"name": contact.name, "email": contact.email}
    if contact.title:
        reader["role"] = contact.title
    company: dict[str, object] = {"name": contact.company or contact.email.partition("@")[2]}
    if contact.notes:
        company["facts"] = [line for line in contact.notes.splitlines() if line.strip()][:50]
    offer = {"product": campaign.product or campaign.name}
    if campaign.goal:
        offer["ask"] = campaign.goal
    sender = {"name": campaign.mailbox.display_name} if campaign.mailbox.display_name else {}
    return {"contact": reader, "company": company, "offer": offer, "sender": sender}


def mail_of(output: object) -> tuple[str, str]:
    """Subject and body of a graph's output; a mail without either is a failure, not an empty mail."""
    values = output if isinstance(output, dict) else {}
    subject = " ".join(str(values.get("subject") or "").split())[:300]
    body = str(values.get("body") or "").strip()
    if not subject or not body:
        missing = "subject" if not subject else "body"
        raise LangGraphError(f"the graph answered without a {missing}", kind="backend")
    return subject, body


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
    held = Touch.objects.select_for_update().get(pk=touch.pk)
    if row.status != Enrollment.Status.ACTIVE:
        return False
    if held.status == Touch.Status.SENDING:
        park(row, held, "The process ended while the mail was being handed over; it may have gone out.")
        return False
    if held.status != Touch.Status.COMPOSED:
        return False
    if Suppression.objects.filter(email__iexact=row.contact.email).exists():
        stop_enrollment(enrollment=row, status=Enrollment.Status.STOPPED)
        return False
    if later := not_yet(row):
        Enrollment.objects.filter(pk=row.pk).update(due_at=later, claimed_by="", attempts=0)
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


def not_yet(enrollment: Enrollment) -> dt.datetime | None:
    """When this mail may go out instead, or None when it may go out now."""
    now = timezone.now()
    window = window_of(enrollment.campaign, enrollment.contact)
    if not window.is_open(now):
        return window.next_open(now)
    mailbox = Mailbox.objects.select_for_update().get(pk=enrollment.campaign.mailbox_id)
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
    Enrollment.objects.filter(pk=enrollment.pk).update(
        status=Enrollment.Status.PARKED, claimed_by="", last_error=why
    )


@transaction.atomic
def settle(touch: Touch, outcome: sending.Outcome) -> None:
    """Write down what the mail server said, and plan what follows from it."""
    row = (
        Enrollment.objects.select_for_update(of=("self",))
        .select_related("campaign", "contact")
        .get(pk=touch.enrollment_id)
    )
    if outcome.kind is sending.Kind.SENT:
        touch.status, touch.sent_at = Touch.Status.SENT, timezone.now()
        touch.save(update_fields=["status", "sent_at"])
        plan_next(row, touch.sent_at)
    elif outcome.kind is sending.Kind.UNKNOWN:
        park(row, touch, outcome.detail)
    elif outcome.kind is sending.Kind.REFUSED:
        touch.status, touch.error, touch.sending_at = Touch.Status.FAILED, outcome.detail, None
        touch.save(update_fields=["status", "error", "sending_at"])
        row.last_error = outcome.detail
        row.save(update_fields=["last_error"])
        stop_enrollment(enrollment=row, status=Enrollment.Status.FAILED)
    else:
        touch.status, touch.sending_at = Touch.Status.COMPOSED, None
        touch.save(update_fields=["status", "sending_at"])
        retry_later(row, outcome.detail)


def plan_next(enrollment: Enrollment, after: dt.datetime) -> None:
    """Move on to the step after the one just sent; a person who answered meanwhile stays where they ended."""
    following = (
        enrollment.campaign.steps.filter(position__gt=enrollment.position).order_by("position").first()
    )
    if following is None:
        stop_enrollment(enrollment=enrollment, status=Enrollment.Status.FINISHED)
        return
    window = window_of(enrollment.campaign, enrollment.contact)
    due = next_due(after, delay=following.delay, unit=following.delay_unit, window=window)
    Enrollment.objects.filter(pk=enrollment.pk).update(
        position=following.position, due_at=due, claimed_by="", attempts=0, last_error=""
    )


@transaction.atomic
def finish(enrollment: Enrollment) -> None:
    row = Enrollment.objects.select_for_update().get(pk=enrollment.pk)
    stop_enrollment(enrollment=row, status=Enrollment.Status.FINISHED)


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
