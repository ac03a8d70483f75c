"""What became of a run: scores and outcomes, their history, their keys, their way to LangSmith.

Run ids are plain ids, not foreign keys: feedback may come days after a run, or before it.
"""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import models


class FeedbackKey(models.Model):
    """What a key means. Keys without a row are taken as they come."""

    class Kind(models.TextChoices):
        BOOLEAN = "boolean", "yes or no"
        SCORE = "score", "number in a range"
        CATEGORY = "category", "one of a list"
        TEXT = "text", "free text"

    class Direction(models.TextChoices):
        HIGHER = "higher", "higher is better"
        LOWER = "lower", "lower is better"
        NONE = "none", "neither"

    key = models.CharField(max_length=180, primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.SCORE)
    minimum = models.FloatField(null=True, blank=True)
    maximum = models.FloatField(null=True, blank=True)
    categories = models.JSONField(default=list, blank=True, help_text="Allowed values of a category.")
    direction = models.CharField(max_length=8, choices=Direction, default=Direction.HIGHER)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValidationError({"maximum": "The maximum is below the minimum."})
        if not isinstance(self.categories, list):
            raise ValidationError({"categories": 'Categories are a list such as ["kind", "curt"].'})
        if self.kind == self.Kind.CATEGORY and not self.categories:
            raise ValidationError({"categories": "Name at least one category."})


class Feedback(models.Model):
    """One rating of one run by one source. A database trigger keeps its history."""

    class Source(models.TextChoices):
        HUMAN = "human", "human"
        MODEL = "model", "model"
        OUTCOME = "outcome", "outcome"
        API = "api", "api"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run_id = models.UUIDField()
    trace_id = models.UUIDField(null=True)
    key = models.CharField(max_length=180)
    score = models.FloatField(null=True)
    value = models.JSONField(null=True)
    comment = models.TextField(blank=True, default="")
    correction = models.JSONField(null=True)
    source = models.CharField(max_length=8, choices=Source, default=Source.API)
    source_event_id = models.CharField(max_length=255, blank=True, default="")
    rater = models.CharField(max_length=255, blank=True, default="", help_text="Who said so.")
    source_metadata = models.JSONField(default=dict, blank=True)
    project = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()
    retracted_at = models.DateTimeField(null=True)

    # Facts of the run, pushed down once it has arrived: roll-ups need no join upwards.
    bound_at = models.DateTimeField(null=True)
    assistant_id = models.CharField(max_length=255, blank=True, default="")
    pool = models.CharField(max_length=64, blank=True, default="")
    model = models.CharField(max_length=255, blank=True, default="")
    prompt_version = models.CharField(max_length=255, blank=True, default="")
    routing_version = models.IntegerField(null=True)

    class Meta:
        verbose_name_plural = "feedback"
        indexes = (
            models.Index(fields=("run_id", "key"), name="feedback_run_key"),
            models.Index(fields=("key", "-created_at"), name="feedback_key_created"),
            models.Index(fields=("trace_id",), name="feedback_trace"),
            models.Index(fields=("-created_at", "id"), name="feedback_created"),
            models.Index(
                fields=("created_at",), name="feedback_unbound", condition=models.Q(bound_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.key} of run {self.run_id}"


class FeedbackEvent(models.Model):
    """History, written by a trigger on every insert and change, whichever door it came through."""

    feedback = models.ForeignKey(Feedback, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField()
    action = models.CharField(max_length=16)
    rater = models.CharField(max_length=255, blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.action} {self.feedback_id}"


class FeedbackRollup(models.Model):
    """Bound feedback of one minute, kept exact by a database trigger through edits, removals and repeats."""

    pk = models.CompositePrimaryKey(
        "minute", "assistant_id", "prompt_version", "pool", "model", "routing_version", "key", "source"
    )
    minute = models.DateTimeField()
    assistant_id = models.TextField()
    prompt_version = models.TextField()
    pool = models.TextField()
    model = models.TextField()
    #: 0 when the run carried none.
    routing_version = models.IntegerField()
    key = models.TextField()
    source = models.TextField()
    given = models.BigIntegerField()
    #: How many of them are a number below 1e15 in size, the exact sum of those and of their squares.
    scored = models.BigIntegerField()
    score_sum = models.DecimalField(max_digits=38, decimal_places=12)
    square_sum = models.DecimalField(max_digits=64, decimal_places=24)
    #: How many of them lie within 0…1.
    shares = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.assistant_id} {self.key}"


class Delivery(models.Model):
    """The way of one state of a feedback row to the LangSmith endpoint in use."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        DELIVERED = "delivered", "delivered"
        DEAD = "dead", "dead letter"

    feedback = models.ForeignKey(Feedback, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.IntegerField(default=0)
    endpoint = models.CharField(max_length=500, blank=True, default="")
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    next_try_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "-id"), name="delivery_state"),)

    def __str__(self) -> str:
        return f"delivery {self.pk} {self.state}"
