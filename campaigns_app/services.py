"""Writes people make: set up a campaign, enroll, pause, resume, stop, suppress. One transaction each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from campaigns_app.models import Campaign, Contact, Enrollment, Mailbox, Step, Suppression
from campaigns_app.schedule import Window, next_due

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

CONTACT_FIELDS = ("email", "name", "title", "company", "timezone", "notes")


@dataclass(frozen=True, slots=True)
class EnrollReport:
    """What became of each row: enrolled, already there, or refused with the field at fault."""

    enrolled: int = 0
    already: int = 0
    errors: tuple[str, ...] = field(default=())


def window_of(campaign: Campaign, contact: Contact) -> Window:
    return Window(
        weekdays=frozenset(campaign.weekdays),
        start=campaign.window_start,
        end=campaign.window_end,
        zone=ZoneInfo(contact.timezone or campaign.timezone),
    )


@transaction.atomic
def create_campaign(
    *, name: str, slug: str, mailbox: str, steps: Sequence[Mapping[str, object]], **fields: object
) -> Campaign:
    """A draft campaign with its steps. Raises ValidationError naming the field."""
    if not steps:
        raise ValidationError({"steps": "A campaign needs at least one step."})
    validate_address("mailbox", mailbox)
    box, _ = Mailbox.objects.get_or_create(address=mailbox.lower())
    campaign = Campaign(name=name, slug=slug, mailbox=box, **fields)
    validate_zone("timezone", campaign.timezone)
    campaign.full_clean()
    campaign.save()
    for position, values in enumerate(steps):
        step = Step(campaign=campaign, position=position, **values)
        step.full_clean()
        step.save()
    return campaign


def enroll(*, campaign: Campaign, rows: Iterable[Mapping[str, str]]) -> EnrollReport:
    """Enroll contacts given as rows with `email` and `name`; a bad row is reported and the others go on."""
    enrolled = already = 0
    errors: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            created = enroll_one(campaign=campaign, row=row)
        except ValidationError as error:
            errors.extend(
                f"row {number}: {name}: {' '.join(texts)}" for name, texts in error.message_dict.items()
            )
            continue
        enrolled, already = enrolled + created, already + (not created)
    return EnrollReport(enrolled, already, tuple(errors))


@transaction.atomic
def enroll_one(*, campaign: Campaign, row: Mapping[str, str]) -> bool:
    """Enroll one contact; false when the contact is enrolled already. Raises ValidationError naming the field."""
    values = {name: str(row.get(name) or "").strip() for name in CONTACT_FIELDS}
    unknown = sorted(set(row) - set(CONTACT_FIELDS))
    if unknown:
        raise ValidationError({unknown[0]: f"Unknown column. Known: {', '.join(CONTACT_FIELDS)}."})
    validate_address("email", values["email"])
    validate_zone("timezone", values["timezone"] or "UTC")
    refuse_control_characters(values)
    if Suppression.objects.filter(email__iexact=values["email"]).exists():
        raise ValidationError({"email": "This address is suppressed."})
    contact = Contact.objects.filter(email__iexact=values["email"]).first()
    if contact is None:
        contact = Contact(**values)
        contact.full_clean()
        contact.save()
    first = campaign.steps.order_by("position").first()
    if first is None:
        raise ValidationError({"campaign": "The campaign has no step."})
    window = window_of(campaign, contact)
    due = next_due(timezone.now(), delay=first.delay, unit=first.delay_unit, window=window)
    _, created = Enrollment.objects.get_or_create(
        campaign=campaign,
        contact=contact,
        defaults={
            "due_at": due,
            "status": Enrollment.Status.ACTIVE
            if campaign.status == Campaign.Status.ACTIVE
            else Enrollment.Status.PAUSED,
        },
    )
    return created


def validate_address(name: str, address: str) -> None:
    try:
        validate_email(address)
    except ValidationError as error:
        raise ValidationError({name: f"{address[:80]!r} is not an e-mail address."}) from error


def validate_zone(name: str, zone: str) -> None:
    if zone not in available_timezones():
        raise ValidationError({name: f"{zone[:60]!r} is not a time zone such as Europe/Berlin."})


def refuse_control_characters(values: Mapping[str, str]) -> None:
    """A line break in a name would become a mail header of its own."""
    for name, value in values.items():
        if name != "notes" and any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise ValidationError({name: "Control characters and line breaks are not allowed."})


@transaction.atomic
def activate(*, campaign: Campaign) -> int:
    """Start or resume a campaign. Overdue steps are planned afresh from now, so nothing goes out in a burst."""
    Campaign.objects.filter(pk=campaign.pk).update(status=Campaign.Status.ACTIVE)
    campaign.status = Campaign.Status.ACTIVE
    now = timezone.now()
    paused = list(
        campaign.enrollments.select_for_update(of=("self",))
        .filter(status=Enrollment.Status.PAUSED)
        .select_related("contact")
    )
    for row in paused:
        row.status = Enrollment.Status.ACTIVE
        row.due_at = window_of(campaign, row.contact).next_open(max(row.due_at, now))
    Enrollment.objects.bulk_update(paused, ["status", "due_at"], batch_size=1_000)
    return len(paused)


@transaction.atomic
def pause(*, campaign: Campaign) -> int:
    """Pause a campaign and every active enrollment of it; a send already committed is not taken back."""
    Campaign.objects.filter(pk=campaign.pk).update(status=Campaign.Status.PAUSED)
    campaign.status = Campaign.Status.PAUSED
    return campaign.enrollments.filter(status=Enrollment.Status.ACTIVE).update(
        status=Enrollment.Status.PAUSED
    )


@transaction.atomic
def stop_enrollment(*, enrollment: Enrollment, status: str, at: dt.datetime | None = None) -> bool:
    """End an enrollment for good; false when it had ended before. The caller holds the row's lock."""
    if enrollment.status in Enrollment.ENDED:
        return False
    enrollment.status = status
    enrollment.ended_at = at or timezone.now()
    enrollment.claimed_by = ""
    enrollment.save(update_fields=["status", "ended_at", "claimed_by"])
    return True


def suppress(*, email: str, reason: str, note: str = "") -> bool:
    """Never send to this address again; false when it was suppressed before."""
    validate_address("email", email)
    _, created = Suppression.objects.get_or_create(
        email__iexact=email, defaults={"email": email.lower(), "reason": reason, "note": note}
    )
    return created
