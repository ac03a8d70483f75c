"""Operational state of the graphs, the keys callers hold, and the record of every change."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

#: The scopes an API key may hold; `*` stands for every one.
SCOPES = (
    "runs",
    "ingest",
    "read",
    "registry:write",
    "routing:write",
    "routing:publish",
    "feedback:write",
    "campaigns:write",
)

no_control_characters = RegexValidator(
    r"\A[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z", "Control characters are not allowed."
)


class GraphRecord(models.Model):
    """One graph: a dated snapshot of its row in `contract.registry` (written by `sync.py` alone) and what operators set."""

    assistant_id = models.CharField(max_length=100, primary_key=True)
    module = models.CharField(max_length=300)
    home_pool = models.CharField(max_length=31)
    input_shape = models.CharField(max_length=100)
    input_schema = models.JSONField()
    description = models.TextField(blank=True)
    resumable = models.BooleanField(default=False)
    spec_digest = models.CharField(max_length=64, help_text="SHA-256 of the registry row.")
    graph_digest = models.CharField(
        max_length=64,
        blank=True,
        help_text="SHA-256 of row, input schema and source; what a pool must attest.",
    )
    synced_at = models.DateTimeField()
    missing_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when the code has no such row."
    )
    placed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was first put on its home pool's allowlist."
    )

    enabled = models.BooleanField(default=True, help_text="A disabled graph answers callers with the reason.")
    disabled_reason = models.CharField(max_length=500, blank=True, validators=[no_control_characters])
    notes = models.TextField(blank=True, max_length=5_000, validators=[no_control_characters])
    timeout_s = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.1), MaxValueValidator(86_400)],
        help_text="Longest run in seconds; empty: the pool's limit.",
    )
    sampling = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of runs that are traced, 0 to 1; empty: all.",
    )

    class Meta:
        ordering = ("assistant_id",)
        verbose_name = "graph"

    def __str__(self) -> str:
        return self.assistant_id

    @property
    def summary(self) -> str:
        """The first sentence of the description, for lists and headings."""
        first, more, _ = self.description.partition(". ")
        return first + more.strip()

    @property
    def details(self) -> str:
        """The description after its first sentence."""
        return self.description.partition(". ")[2]


class ApiKey(models.Model):
    """A caller's key. The key itself is shown once and never stored."""

    name = models.CharField(max_length=100, validators=[no_control_characters])
    prefix = models.CharField(max_length=8, help_text="The first characters, to tell keys apart.")
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=32), help_text="What the key opens.")
    project = models.CharField(
        max_length=200, blank=True, default="", help_text="The only tracing project it may write; empty: any."
    )
    trusted_tracing = models.BooleanField(
        default=True,
        help_text="Whether trace headers of its callers are adopted; if not, each call starts a new trace.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("-created_at",)
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """Who changed what, when, from what to what. Written by database triggers; nobody can change or delete one."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    via = models.CharField(max_length=20, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    reason = models.TextField(blank=True)
    action = models.CharField(max_length=10)
    model = models.CharField(max_length=100)
    object_id = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"
        indexes = (models.Index(fields=("-at",)), models.Index(fields=("model", "object_id", "-at")))

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.kind} {self.object_id}"

    @property
    def kind(self) -> str:
        """The table without its app: pool, allowlistentry, graphrecord, …"""
        return self.model.partition("_app_")[2] or self.model

    @property
    def listed_id(self) -> str:
        """The assistant an allowlist gained or lost; its row is named by the pool."""
        row = self.after or self.before or {}
        return str(row.get("assistant_id", "")) if self.kind == "allowlistentry" else ""


class PoolReport(models.Model):
    """What one replica of a pool said it has loaded, the last time it was asked."""

    pool = models.CharField(max_length=31)
    url = models.CharField(max_length=2_000)
    reported_at = models.DateTimeField()
    ok = models.BooleanField()
    error = models.CharField(max_length=500, blank=True)
    graphs = models.JSONField(
        default=dict, help_text="assistant_id → digest it attests; empty when it cannot run it."
    )

    class Meta:
        ordering = ("pool", "url")
        constraints = (models.UniqueConstraint(fields=("pool", "url"), name="one_report_per_replica"),)

    def __str__(self) -> str:
        return f"{self.pool} at {self.url}"
