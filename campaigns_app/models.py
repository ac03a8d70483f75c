"""Durable campaigns: who is enrolled in which sequence, what was written for them, what went out, what came back.

State lives in rows, never in a process: an enrollment sleeps as a row with `due_at`, a touch is both the record of
what a graph wrote (`langsmith_run_id`) and the outbox entry of the one mail it may become.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import ClassVar
from zoneinfo import available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower

from platform_site.lib.texts import storable

UNSTORABLE = "NUL characters and lone surrogates are not allowed."
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def working_days() -> list[int]:
    return [0, 1, 2, 3, 4]


def refuse_control_characters(**values: str) -> None:
    """A line break in a name would become a mail header of its own. Raises ValidationError naming the field."""
    refuse_what_no_table_holds(**values)
    for name, value in values.items():
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise ValidationError({name: "Control characters and line breaks are not allowed."})


def refuse_what_no_table_holds(**values: str) -> None:
    """Raises ValidationError naming the field."""
    for name, value in values.items():
        if storable(value) != value:
            raise ValidationError({name: UNSTORABLE})


def validate_zone(zone: str) -> None:
    if zone not in available_timezones():
        raise ValidationError({"timezone": f"{zone[:60]!r} is not a time zone such as Europe/Berlin."})


class Mailbox(models.Model):
    """An address mails are sent from. Its row is the lock under which the throttle is counted, so it is exact."""

    address = models.EmailField(unique=True)
    display_name = models.CharField(max_length=120, blank=True)
    daily_limit = models.PositiveIntegerField(
        default=40, help_text="Most mails in any 24 hours, over all campaigns."
    )

    class Meta:
        verbose_name_plural = "mailboxes"

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        refuse_control_characters(display_name=self.display_name)


class Campaign(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        PAUSED = "paused"
        STOPPED = "stopped"

    name = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.PROTECT, related_name="campaigns")
    product = models.CharField(
        max_length=200, blank=True, help_text="What is offered; given to the graph that writes."
    )
    goal = models.CharField(max_length=200, blank=True)
    sequence_graph = models.CharField(
        max_length=100,
        blank=True,
        help_text="Resumable graph that keeps each contact's sequence on a thread of its own; empty: rows alone do.",
    )
    timezone = models.CharField(
        max_length=64, default="UTC", help_text="For contacts without their own zone."
    )
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=working_days, help_text="0 = Monday.")
    window_start = models.TimeField(default=dt.time(9, 0))
    window_end = models.TimeField(default=dt.time(17, 0))
    daily_limit = models.PositiveIntegerField(
        default=200, help_text="Most mails of this campaign in any 24 hours."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(window_start__lt=models.F("window_end")),
                name="campaign_window_opens_before_it_closes",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def run_config(self) -> dict[str, dict[str, str]]:
        """What its runs carry, so that `campaign:` and its slug find their actions."""
        return {"metadata": {"campaign": self.slug}}

    def clean(self) -> None:
        if not self.weekdays or any(day not in range(7) for day in self.weekdays):
            raise ValidationError({"weekdays": "Name at least one weekday, 0 (Monday) to 6 (Sunday)."})
        if self.window_start >= self.window_end:
            raise ValidationError({"window_end": "The window has to close after it opens."})
        validate_zone(self.timezone)
        refuse_control_characters(name=self.name, product=self.product, goal=self.goal)


class Tally(models.Model):
    """How many mails of a campaign were promised since they were last counted: never fewer than of the last day.

    Written under the lock of the campaign's mailbox, so that a throttle need not count a day of mails for each send.
    A table of its own: who saves a campaign must not take back what was promised meanwhile.
    """

    campaign = models.OneToOneField(
        Campaign, on_delete=models.CASCADE, primary_key=True, related_name="tally"
    )
    promised = models.PositiveIntegerField()
    #: A clock that shows less than this was set back: mails that were a day old are not any more.
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.promised} of {self.campaign}"


class Step(models.Model):
    """One mail of the sequence: which graph writes it and how long after the step before."""

    class Unit(models.TextChoices):
        HOURS = "hours"
        BUSINESS_DAYS = "business_days", "business days"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(validators=[MaxValueValidator(99)])
    assistant_id = models.CharField(max_length=100, default="email_compose")
    delay = models.PositiveIntegerField(default=3, validators=[MaxValueValidator(8_760)])
    delay_unit = models.CharField(max_length=16, choices=Unit, default=Unit.BUSINESS_DAYS)
    same_thread = models.BooleanField(
        default=True, help_text="Answer the mail before instead of a new subject."
    )
    variants = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="Tones tried against each other (friendly, formal, direct); each contact keeps one.",
    )

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "position"], name="one_step_per_position")
        ]

    def __str__(self) -> str:
        return f"{self.campaign} step {self.position + 1}"

    @property
    def days(self) -> int:
        """The delay in days, for a graph that thinks in days."""
        return self.delay if self.delay_unit == self.Unit.BUSINESS_DAYS else round(self.delay / 24)


class Contact(models.Model):
    email = models.EmailField()
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=200, blank=True)
    company = models.CharField(max_length=200, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    facts = models.TextField(
        blank=True, max_length=20_000, help_text="What a letter may say of the company, one fact a line."
    )
    notes = models.TextField(
        blank=True, max_length=20_000, help_text="For colleagues; never given to a graph that writes."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="one_contact_per_address")]

    def __str__(self) -> str:
        return f"{self.name}, {self.company}" if self.company else self.name

    def clean(self) -> None:
        validate_zone(self.timezone or "UTC")
        refuse_control_characters(name=self.name, title=self.title, company=self.company)
        refuse_what_no_table_holds(facts=self.facts, notes=self.notes)


class Enrollment(models.Model):
    """A contact's place in a sequence. `due_at` is the timer; a claim moves it into the future (the lease)."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        PARKED = "parked"
        FINISHED = "finished"
        REPLIED = "replied"
        UNSUBSCRIBED = "unsubscribed"
        BOUNCED = "bounced"
        STOPPED = "stopped"
        FAILED = "failed"

    #: Nothing goes out in these states, whatever else is due.
    ENDED: ClassVar = (
        Status.FINISHED,
        Status.REPLIED,
        Status.UNSUBSCRIBED,
        Status.BOUNCED,
        Status.STOPPED,
        Status.FAILED,
    )
    #: What an answer makes of an enrollment, even of one that had every step.
    ANSWERED: ClassVar = (Status.REPLIED, Status.UNSUBSCRIBED, Status.BOUNCED)
    #: What is left in `attempts` when a step that was claimed before begins anew; 0 is for one nobody ever claimed.
    TRIED: ClassVar = 1

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="enrollments")
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="enrollments")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    held = models.BooleanField(
        default=False, help_text="Paused by itself: resuming the campaign does not take it along."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="The next step to take.")
    due_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=100, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, validators=[MinValueValidator(0)])
    last_error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "contact"], name="one_enrollment_per_contact")
        ]
        indexes: ClassVar = [
            # Sleeping rows cost nothing: the claim reads this index from its low end and stops at now().
            models.Index(fields=["due_at"], name="enrollment_due", condition=models.Q(status="active")),
            models.Index(fields=["campaign", "status"], name="enrollment_by_campaign"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} in {self.campaign}"

    @property
    def tried_before(self) -> bool:
        """Whether this claim of the step is not its first: what the others began may have gone on without them."""
        return self.attempts > self.TRIED

    def begin_anew(self) -> None:
        """Forget the tries of this step and what they met, but not that there were any."""
        self.attempts, self.last_error = min(self.attempts, self.TRIED), ""


class Touch(models.Model):
    """What one step became for one contact: the written mail, its run, and its way through the outbox."""

    class Status(models.TextChoices):
        COMPOSED = "composed"
        SENDING = "sending"
        SENT = "sent"
        #: The connection was lost after the mail was handed over: it may have gone out. Never resent by itself.
        UNKNOWN = "unknown"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="touches")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="touches")
    variant = models.CharField(max_length=20, default="A")
    key = models.CharField(
        max_length=64, unique=True, help_text="Digest of campaign, contact, step, variant."
    )
    message_id = models.CharField(max_length=120, unique=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.COMPOSED)
    subject = models.CharField(max_length=300)
    body = models.TextField()
    langsmith_run_id = models.CharField(max_length=36, db_index=True)
    thread_id = models.CharField(max_length=36, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    pool = models.CharField(max_length=40, blank=True)
    routing_version = models.PositiveIntegerField(null=True, blank=True)
    composed_at = models.DateTimeField(auto_now_add=True)
    sending_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    promise = models.JSONField(
        default=dict, blank=True, help_text="The window and limits in force when the send was committed."
    )
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "touches"
        ordering: ClassVar = ["composed_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["enrollment", "step"], name="one_touch_per_step")
        ]
        indexes: ClassVar = [
            models.Index(fields=["sent_at"], name="touch_sent", condition=models.Q(sent_at__isnull=False)),
            # Throttles count the mails of a campaign's steps, each read backwards from now.
            models.Index(
                fields=["step", "sending_at"],
                name="touch_committed",
                condition=models.Q(sending_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.enrollment.contact}"


def sent_before(enrollment: Enrollment, step: Step) -> list[Touch]:
    """The mails that went out before a step, the oldest first."""
    sent = [
        touch
        for touch in enrollment.touches.all()
        if touch.status == Touch.Status.SENT and touch.step.position < step.position
    ]
    return sorted(sent, key=lambda touch: touch.step.position)


class Suppression(models.Model):
    """An address nothing may be sent to. Looked up inside the transaction that commits a send."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed"
        BOUNCED = "bounced"
        COMPLAINT = "complaint"
        MANUAL = "manual"

    email = models.EmailField()
    reason = models.CharField(max_length=16, choices=Reason)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="one_suppression_per_address")]

    def __str__(self) -> str:
        return f"{self.email} ({self.reason})"


class InboundEvent(models.Model):
    """What came back about a mail, once per source event however often it is delivered.

    A `message` is an answer nobody has read yet: while there is one, nothing goes out to its contact.
    """

    class Kind(models.TextChoices):
        REPLY = "reply"
        OUT_OF_OFFICE = "out_of_office", "out of office"
        HARD_BOUNCE = "hard_bounce", "hard bounce"
        SOFT_BOUNCE = "soft_bounce", "soft bounce"
        UNSUBSCRIBE = "unsubscribe"
        COMPLAINT = "complaint"
        DELIVERED = "delivered"
        NOT_SENT = "not_sent", "not sent"
        MESSAGE = "message"

    source_event_id = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    touch = models.ForeignKey(Touch, on_delete=models.CASCADE, related_name="events")
    text = models.TextField(blank=True)
    return_date = models.DateField(null=True, blank=True)
    mail = models.JSONField(default=dict, blank=True, help_text="Sender, subject and marks of a raw message.")
    label = models.CharField(
        max_length=40, blank=True, help_text="What the graph that read the message called it."
    )
    confidence = models.FloatField(null=True, blank=True)
    langsmith_run_id = models.CharField(max_length=36, blank=True, help_text="The run that read the message.")
    error = models.TextField(blank=True)
    actor = models.CharField(
        max_length=150, blank=True, help_text="The person who recorded it, when one did."
    )
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["received_at"]
        indexes: ClassVar = [
            models.Index(fields=["touch"], name="event_unread", condition=models.Q(kind="message")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.touch}"
