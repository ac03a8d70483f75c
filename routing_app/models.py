"""Pools and their allowlists (the draft), the published revisions, and one row for each dispatched request."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from contract.routing_document import url_problem


def validate_base_url(value: str) -> None:
    """Refuse what a dispatcher must not call: other schemes, credentials, queries."""
    if problem := url_problem(value):
        raise ValidationError(f"A base URL {problem}.")


_seconds = (MinValueValidator(0.1), MaxValueValidator(86_400))


class Pool(models.Model):
    """A group of workers that runs some graphs. A draft until it is published."""

    slug = models.CharField(
        max_length=31,
        primary_key=True,
        validators=[
            RegexValidator(r"\A[A-Z][A-Z0-9_]{0,30}\Z", "Use capitals, digits and underscores, as in EMAIL.")
        ],
    )
    position = models.PositiveSmallIntegerField(
        default=100, help_text="Order of the routes; the first match wins."
    )
    base_urls = ArrayField(
        models.CharField(max_length=2_000, validators=[validate_base_url]),
        default=list,
        blank=True,
        size=64,
        help_text="One for each replica, by comma.",
    )
    secret_env = models.CharField(
        max_length=100,
        blank=True,
        validators=[
            RegexValidator(
                r"\A[A-Z][A-Z0-9_]*\Z", "The name of an environment variable, as in EMAIL_WORKER_SECRET."
            )
        ],
        help_text="Name of the variable that holds the pool's secret; never the secret.",
    )
    enabled = models.BooleanField(default=True)
    concurrency = models.PositiveIntegerField(
        default=64,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Requests at work at once.",
    )
    queue = models.PositiveIntegerField(
        default=128,
        validators=[MaxValueValidator(100_000)],
        help_text="Requests that may wait; more are refused.",
    )
    connect_timeout_s = models.FloatField(default=2, validators=_seconds)
    idle_timeout_s = models.FloatField(
        default=60, validators=_seconds, help_text="Longest silence in a stream."
    )
    total_timeout_s = models.FloatField(default=600, validators=_seconds)

    class Meta:
        ordering = ("position", "slug")

    def __str__(self) -> str:
        return self.slug


class AllowlistEntry(models.Model):
    """One id that a pool may run. The id is text: what no graph has is found by the checks, not refused here."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="allowlist")
    assistant_id = models.CharField(
        max_length=100,
        validators=[
            RegexValidator(r"\A[a-z][a-z0-9_]{0,99}\Z", "Use small letters, digits and underscores.")
        ],
    )

    class Meta:
        ordering = ("assistant_id",)
        verbose_name_plural = "allowlist entries"
        constraints = (models.UniqueConstraint(fields=("pool", "assistant_id"), name="once_per_pool"),)

    def __str__(self) -> str:
        return f"{self.pool_id}: {self.assistant_id}"


class RoutingDraft(models.Model):
    """The one row that says on which revision the draft was made; its lock is what makes publishing one at a time."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    base_version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="only_one_draft"),)

    def __str__(self) -> str:
        return f"draft on revision {self.base_version}"


class RoutingRevision(models.Model):
    """What was live from its publication to the next one's. Immutable: a database trigger refuses changes."""

    version = models.PositiveIntegerField(unique=True)
    document = models.JSONField()
    digest = models.CharField(max_length=64)
    reason = models.TextField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    author_name = models.CharField(max_length=200)
    base_version = models.PositiveIntegerField()
    rollback_of = models.PositiveIntegerField(
        null=True, help_text="The revision whose content this one repeats."
    )
    published_at = models.DateTimeField()

    class Meta:
        ordering = ("-version",)
        permissions = (("publish_routing", "Can publish and roll back routing"),)

    def __str__(self) -> str:
        return f"revision {self.version}"


class DispatchRecord(models.Model):
    """One request through the dispatcher: ids of every header family, the decision, the outcome. No bodies."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    received_at = models.DateTimeField()
    request_id = models.TextField()
    method = models.TextField()
    path = models.TextField()
    assistant_id = models.TextField(default="", blank=True)
    pool = models.TextField(default="", blank=True)
    replica = models.TextField(default="", blank=True)
    routing_version = models.IntegerField(default=0)
    routing_digest = models.TextField(default="", blank=True)
    status = models.IntegerField()
    error_kind = models.TextField(default="", blank=True)
    error = models.TextField(default="", blank=True)
    graph_failed = models.BooleanField(default=False)
    run_id = models.TextField(default="", blank=True)
    thread_id = models.TextField(default="", blank=True)
    key_prefix = models.TextField(default="", blank=True)
    key_name = models.TextField(default="", blank=True)
    caller = models.TextField(default="", blank=True)
    w3c_trace_id = models.TextField(default="", blank=True)
    w3c_parent_id = models.TextField(default="", blank=True)
    w3c_minted = models.BooleanField(default=False)
    ls_trace_id = models.TextField(default="", blank=True)
    ls_parent_run_id = models.TextField(default="", blank=True)
    ls_project = models.TextField(default="", blank=True)
    dropped_headers = ArrayField(models.TextField(), default=list, blank=True)
    executed_pool = models.TextField(default="", blank=True)
    executed_graph_digest = models.TextField(default="", blank=True)
    decided_graph_digest = models.TextField(default="", blank=True)
    queued_ms = models.FloatField(default=0)
    ttfb_ms = models.FloatField(default=0)
    total_ms = models.FloatField(default=0)
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ("-received_at",)
        indexes = (
            models.Index(fields=("-received_at",), name="dispatch_received"),
            models.Index(fields=("run_id",), name="dispatch_run"),
            models.Index(fields=("ls_trace_id",), name="dispatch_ls_trace"),
            models.Index(fields=("w3c_trace_id",), name="dispatch_w3c_trace"),
            models.Index(fields=("request_id",), name="dispatch_request"),
            models.Index(fields=("assistant_id", "received_at"), name="dispatch_assistant"),
            models.Index(
                fields=("-received_at", "-id"),
                name="dispatch_failed",
                condition=~models.Q(error_kind="") | models.Q(graph_failed=True) | models.Q(status__gte=400),
            ),
            BrinIndex(
                fields=("ended_at",), name="dispatch_ended", autosummarize=True
            ),  # rows come as calls end
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.pool or '-'} {self.status}"


class CallRollup(models.Model):
    """Calls to one pool in five minutes, by how long they took; a trigger counts each record once as it is stored.

    `bucket` is one of the latency sketch of `traces_app.store.sketch`. Calls refused before a pool stand under "".
    """

    pk = models.CompositePrimaryKey("slot", "pool", "bucket")
    slot = models.DateTimeField()
    pool = models.TextField()
    bucket = models.SmallIntegerField()
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    first_failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.slot:%Y-%m-%d %H:%M} {self.pool or '-'} {self.bucket}"


class ThreadBinding(models.Model):
    """One thread: its labels, and the pool that holds its state. Written by the dispatcher alone.

    Status and values are the pool's to know; `stale` marks rows that a run may have changed since they were asked for.
    """

    thread_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    metadata = models.JSONField(default=dict)
    status = models.CharField(max_length=20, default="idle")
    pool = models.CharField(max_length=31, default="", blank=True, help_text="Empty until the first run.")
    stale = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    state_updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=("-created_at", "-thread_id"), name="thread_created"),
            models.Index(fields=("-updated_at",), name="thread_stale", condition=models.Q(stale=True)),
            GinIndex(fields=("metadata",), opclasses=("jsonb_path_ops",), name="thread_metadata"),
        )

    def __str__(self) -> str:
        return f"thread {self.thread_id} in {self.pool or 'no pool yet'}"


class BreakerHold(models.Model):
    """An operator's word over the breaker of one replica, until a moment; dispatchers follow it as they follow keys."""

    STATES = (
        ("open", "open: it gets no call"),
        ("closed", "closed: every call is tried"),
    )

    pool = models.CharField(max_length=31)
    url = models.CharField(max_length=2_000)
    state = models.CharField(max_length=6, choices=STATES)
    reason = models.CharField(max_length=500)
    held_by = models.CharField(max_length=200)
    until = models.DateTimeField()

    class Meta:
        ordering = ("pool", "url")
        constraints = (models.UniqueConstraint(fields=("pool", "url"), name="one_hold_per_replica"),)

    def __str__(self) -> str:
        return f"{self.pool} {self.url}: held {self.state}"


class DrillReport(models.Model):
    """One blast-radius drill: asked for, under way, and what it found. Made by the button or the command."""

    STATES = (
        ("queued", "queued"),
        ("running", "running"),
        ("passed", "passed"),
        ("failed", "failed"),
        ("broken", "broken"),
    )

    state = models.CharField(max_length=10, choices=STATES, default="queued")
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Why it broke off; empty when it ran to its end.")
    result = models.JSONField(
        default=dict, blank=True, help_text="Figures and verdict, as the drill wrote them."
    )

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                models.Value(1),
                condition=models.Q(state__in=("queued", "running")),
                name="one_drill_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"drill {self.pk}: {self.state}"
