"""What the trace store keeps. Rows are written by `traces_app.store` alone; Django reads them, and edits prices and rules.

`RunPart`, `Chunk` and `Attachment` are partitioned by day and no models: their tables are made by the second
migration in SQL, their partitions by `store/partitions.py`. See docs/adr/0005-trace-store.md.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models


class TraceHead(models.Model):
    """One row for each trace: what a list shows. Kept exact by the writer, under replays and in any order."""

    class Retention(models.TextChoices):
        BASE = "base"
        EXTENDED = "extended"

    trace_id = models.UUIDField(primary_key=True)
    #: The partition that holds the whole trace: the day (UTC) it was first seen.
    day = models.DateField()
    seen_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    root_run_id = models.UUIDField(null=True)
    #: 0 the trace's own root, 1 a run without parent, 2 only a stand-in: the earliest run so far.
    root_rank = models.SmallIntegerField()
    root_start = models.DateTimeField(null=True)
    root_end = models.DateTimeField(null=True)
    name = models.TextField(default="", blank=True)
    run_type = models.TextField(default="", blank=True)
    source = models.TextField(default="", blank=True)
    project = models.TextField(default="", blank=True)
    assistant_id = models.TextField(default="", blank=True)
    pool = models.TextField(default="", blank=True)
    routing_version = models.IntegerField(null=True)
    thread_id = models.TextField(default="", blank=True)
    #: 0 running, 1 ok, 2 error; of the root run.
    status = models.SmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    runs = models.IntegerField(default=0)
    open_runs = models.IntegerField(default=0)
    errors = models.IntegerField(default=0)
    llm_runs = models.IntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    total_tokens = models.BigIntegerField(default=0)
    #: US dollars.
    cost = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    tags = ArrayField(models.TextField(), default=list, blank=True)
    #: What its runs say of themselves as `field=value`, sorted; what the list is filtered and searched by.
    facts = ArrayField(models.TextField(), default=list, blank=True)
    retention = models.TextField(choices=Retention, default=Retention.BASE)
    #: False: parts and payloads go once the trace is over and nothing makes it worth keeping.
    sampled = models.BooleanField(default=True)
    #: When parts and payloads of a trace that was not sampled went.
    shed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["-seen_at", "-trace_id"], name="tracehead_seen"),
            models.Index(fields=["-started_at", "-trace_id"], name="tracehead_started"),
            models.Index(fields=["day"], name="tracehead_day"),
            models.Index(
                fields=["-seen_at", "-trace_id"], name="tracehead_failed", condition=models.Q(status=2)
            ),
            # Few: home counts those that stopped reporting, among all of a week.
            models.Index(fields=["seen_at"], name="tracehead_open", condition=models.Q(open_runs__gt=0)),
            GinIndex(fields=["facts"], name="tracehead_facts"),
            # Rows are updated in place soon after they are made, so blocks go by time; an index by row would
            # have to change with every commit.
            BrinIndex(fields=["updated_at"], name="tracehead_updated", autosummarize=True),
        )

    def __str__(self) -> str:
        return f"{self.name or 'trace'} {self.trace_id}"


class Rollup(models.Model):
    """Finished runs of one minute. `latency` is a sketch (`store/sketch.py`): add elementwise to merge."""

    class Kind(models.TextChoices):
        ROOT = "root"
        LLM = "llm"
        TOOL = "tool"
        OTHER = "other"

    pk = models.CompositePrimaryKey("minute", "assistant_id", "pool", "model", "routing_version", "kind")
    minute = models.DateTimeField()
    assistant_id = models.TextField()
    pool = models.TextField()
    model = models.TextField()
    #: 0 when the run carried none.
    routing_version = models.IntegerField()
    kind = models.TextField(choices=Kind)
    runs = models.BigIntegerField()
    errors = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    total_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=24, decimal_places=12)
    latency = ArrayField(models.BigIntegerField())

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.assistant_id} {self.kind}"


class SpanCopy(models.Model):
    """A trace made of the OTLP copies the LangSmith SDK sends of its runs; dropped for the runs once they are known."""

    trace_id = models.UUIDField(primary_key=True)
    seen_at = models.DateTimeField()
    project = models.TextField(default="", blank=True)
    name = models.TextField(default="", blank=True)
    #: Start of its root in microseconds since 1970; null until the root has come.
    start = models.BigIntegerField(null=True)
    #: The trace it is a copy of: from then on nothing of it is stored.
    of = models.UUIDField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["start"], name="spancopy_open", condition=models.Q(of__isnull=True)),
            models.Index(fields=["seen_at"], name="spancopy_seen"),
        )

    def __str__(self) -> str:
        return f"copy {self.trace_id}"


class Link(models.Model):
    """An address that opens one thing to whoever holds it: a shared run, or one feedback key of a run."""

    class Kind(models.TextChoices):
        SHARE = "share"
        FEEDBACK = "feedback"

    #: SHA-256 (hex) of the token in the address.
    token_hash = models.TextField(primary_key=True)
    kind = models.TextField(choices=Kind)
    run_id = models.UUIDField()
    project = models.TextField(default="", blank=True)
    #: Of a feedback link.
    feedback_key = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    #: Of a shared run alone: its address is public by intent and is shown again.
    share_token = models.UUIDField(null=True)

    class Meta:
        indexes = (models.Index(fields=["run_id", "kind"], name="link_run"),)

    def __str__(self) -> str:
        return f"{self.kind} link of run {self.run_id}"


class Project(models.Model):
    """A LangSmith project (session): made by the first run that names it; its id is derived from its name."""

    id = models.UUIDField(primary_key=True)
    name = models.TextField(unique=True)
    created_at = models.DateTimeField()
    description = models.TextField(default="", blank=True)
    extra = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name


class Price(models.Model):
    """What a model costs from a day on, US dollars for a million tokens."""

    model = models.TextField(help_text="Model name, or a beginning of it followed by *.")
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="First day it no longer holds.")
    input_per_million = models.DecimalField(max_digits=14, decimal_places=6)
    output_per_million = models.DecimalField(max_digits=14, decimal_places=6)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["model", "valid_from"], name="price_model_from"),)

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from}"


class RedactionRule(models.Model):
    """What may not be stored, beside the rules that are always on (`ingest/redact.py`)."""

    class Kind(models.TextChoices):
        KEY = "key"
        PATTERN = "pattern"

    kind = models.TextField(choices=Kind)
    expression = models.TextField(help_text="A key name (case does not matter), or a regular expression.")
    project = models.TextField(default="", blank=True, help_text="Empty: every project.")
    replacement = models.TextField(default="[redacted]")
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["kind", "expression", "project"], name="redaction_rule_unique"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.expression}"


class Quarantine(models.Model):
    """An item that was refused while the rest of its request was stored."""

    #: A digest of door, reason and item, so that a resend adds nothing.
    digest = models.BinaryField(primary_key=True)
    received_at = models.DateTimeField()
    door = models.TextField()
    reason = models.TextField()
    item = models.TextField()
    excerpt = models.TextField()

    class Meta:
        indexes = (models.Index(fields=["-received_at"], name="quarantine_received"),)

    def __str__(self) -> str:
        return f"{self.door}: {self.reason}"


class StoredFinding(models.Model):
    """One fault of the catalogue at one place, however often it was seen."""

    class Severity(models.TextChoices):
        ERROR = "error"
        WARNING = "warning"
        INFO = "info"

    code = models.TextField()
    #: The hop it blames, and the assistant concerned: with the code, what makes two sightings one finding.
    hop = models.TextField()
    assistant_id = models.TextField(default="", blank=True)
    severity = models.TextField(choices=Severity)
    #: The sentences of the newest sighting.
    title = models.TextField()
    effect = models.TextField()
    remedy = models.TextField()
    howto = models.TextField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.IntegerField(default=0)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.TextField(default="", blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["code", "hop", "assistant_id"], name="finding_place"),)
        indexes = (models.Index(fields=["-last_seen", "-id"], name="finding_last_seen"),)

    def __str__(self) -> str:
        return f"{self.code} at {self.hop}"


#: The job that diagnoses traces that have settled.
DIAGNOSE = "traces.diagnose"


class Bookmark(models.Model):
    """How far a job that follows the traces has come, in the order of their last news."""

    job = models.TextField(primary_key=True)
    updated_at = models.DateTimeField()
    trace_id = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.job}: {self.updated_at:%Y-%m-%d %H:%M:%S}"


class FindingSighting(models.Model):
    """One row of one action, or one call turned away, at which a finding was seen; seeing it again adds nothing."""

    finding = models.ForeignKey(StoredFinding, on_delete=models.CASCADE, related_name="sightings")
    node_id = models.TextField()
    #: None where it was seen outside any action.
    trace_id = models.UUIDField(null=True)
    seen_at = models.DateTimeField()
    evidence = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["finding", "node_id"], name="finding_sighting_once"),)
        indexes = (models.Index(fields=["trace_id"], name="sighting_trace"),)

    def __str__(self) -> str:
        return f"{self.finding_id} in {self.trace_id}"
