"""Writes people make: set up a campaign, enroll, pause, resume, stop, suppress. One transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from campaigns_app import planning
from campaigns_app.models import Campaign, Enrollment, Mailbox, Step, Suppression, refuse_control_characters
from campaigns_app.writing import FIRST_WRITER, NEXT_WRITER, SEQUENCE_GRAPH, check_sequence_graph, check_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet


def create_campaign(
    *, name: str, slug: str, mailbox: str, steps: Sequence[Mapping[str, object]], **fields: object
) -> Campaign:
    """A draft campaign with its steps. Raises ValidationError naming the field.

    A sequence whose steps leave the writing open is kept by one resumable graph.
    """
    if fields.get("sequence_graph") is None:
        own = any(step.get("assistant_id") for step in steps)
        fields["sequence_graph"] = SEQUENCE_GRAPH if len(steps) > 1 and not own else ""
    return save_campaign(campaign=Campaign(), name=name, slug=slug, mailbox=mailbox, steps=steps, **fields)


@transaction.atomic
def save_campaign(
    *, campaign: Campaign, mailbox: str, steps: Sequence[Mapping[str, object]], **fields: object
) -> Campaign:
    """Write a campaign and its steps as given. A step that made a mail stays; Raises ValidationError."""
    if not steps:
        raise ValidationError({"steps": "A campaign needs at least one step."})
    validate_address("mailbox", mailbox)
    campaign.mailbox, _ = Mailbox.objects.get_or_create(address=mailbox.lower())
    for name, value in fields.items():
        if value is not None:
            setattr(campaign, name, value)
    check_sequence_graph(campaign.sequence_graph, len(steps))
    campaign.full_clean()
    campaign.save()
    save_steps(campaign, steps)
    return campaign


def save_steps(campaign: Campaign, steps: Sequence[Mapping[str, object]]) -> None:
    kept = {step.position: step for step in campaign.steps.all()}
    made = []
    for position, values in enumerate(steps):
        step = kept.pop(position, None) or Step(campaign=campaign, position=position)
        values = {**values, "assistant_id": values.get("assistant_id") or default_writer(position)}
        for name, value in values.items():
            setattr(step, name, value)
        made.append(step)
    check_steps(made)
    for step in made:
        step.full_clean()
        step.save()
    if used := next((step for step in kept.values() if step.touches.exists()), None):
        raise ValidationError({"steps": f"Step {used.position + 1} has written mails and cannot be removed."})
    Step.objects.filter(pk__in=[step.pk for step in kept.values()]).delete()


def default_writer(position: int) -> str:
    return NEXT_WRITER if position else FIRST_WRITER


def validate_address(name: str, address: str) -> None:
    try:
        validate_email(address)
    except ValidationError as error:
        raise ValidationError({name: f"{address[:80]!r} is not an e-mail address."}) from error


def paused_rows(campaign: Campaign) -> QuerySet[Enrollment]:
    return campaign.enrollments.filter(status=Enrollment.Status.PAUSED, held=False).select_related("contact")


def resume_preview(campaign: Campaign) -> planning.Preview:
    """What would go out, and when, if the campaign were resumed now. Writes nothing."""
    plan = planning.plan_resume(campaign, paused_rows(campaign), timezone.now())
    return planning.preview_of(campaign, plan)


@transaction.atomic
def activate(*, campaign: Campaign) -> int:
    """Start or resume a campaign. Overdue steps are spread at the pace the limits allow: no burst."""
    check_sequence_graph(campaign.sequence_graph, campaign.steps.count())
    Campaign.objects.filter(pk=campaign.pk).update(status=Campaign.Status.ACTIVE)
    campaign.status = Campaign.Status.ACTIVE
    return resume_rows(campaign, paused_rows(campaign))


def resume_rows(campaign: Campaign, rows: QuerySet[Enrollment]) -> int:
    """Plan paused enrollments afresh and let them go on; how many."""
    locked = rows.select_for_update(of=("self",), no_key=True).order_by("pk")
    plan = planning.plan_resume(campaign, locked, timezone.now())
    for each in plan:
        each.enrollment.due_at, each.enrollment.held = each.due_at, False
        each.enrollment.status = planning.resting_status(campaign)
        each.enrollment.begin_anew()
    planning.keep([each.enrollment for each in plan])
    return len(plan)


@transaction.atomic
def pause(*, campaign: Campaign) -> int:
    """Pause a campaign and every active enrollment of it; a send already committed is not taken back."""
    Campaign.objects.filter(pk=campaign.pk).update(status=Campaign.Status.PAUSED)
    campaign.status = Campaign.Status.PAUSED
    return campaign.enrollments.filter(status=Enrollment.Status.ACTIVE).update(
        status=Enrollment.Status.PAUSED
    )


def save_mailbox(*, address: str, display_name: str, daily_limit: int) -> Mailbox:
    """Make or change an address mails are sent from. Raises ValidationError naming the field."""
    validate_address("address", address)
    refuse_control_characters(display_name=display_name)
    values = {"display_name": display_name, "daily_limit": daily_limit}
    return Mailbox.objects.update_or_create(address=address.lower(), defaults=values)[0]


def suppressions(email: str) -> QuerySet[Suppression]:
    """The suppression of an address, found by the index on its lower case."""
    return Suppression.objects.alias(at=Lower("email")).filter(at=email.lower())


def suppress(*, email: str, reason: str, note: str = "") -> bool:
    """Never send to this address again; false when it was suppressed before."""
    validate_address("email", email)
    values = {"email": email.lower(), "reason": reason, "note": note}
    _, created = suppressions(email).get_or_create(defaults=values)
    return created


def unsuppress(*, email: str) -> bool:
    """Allow mails to this address again; false when it was not suppressed."""
    deleted, _ = suppressions(email).delete()
    return bool(deleted)
