"""The invariant ledger: promises computed from the tables, each with the rows that break it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

#: Offending rows shown; the count is of all of them.
SHOWN = 20

#: name → SQL that yields one row (id, sentence, enrollment) per violation.
INVARIANTS = {
    "no step sent twice": """
        SELECT e.id::text, c.email || ': step ' || s.position + 1 || ' went out ' || count(*) || ' times', e.id
        FROM campaigns_app_touch t JOIN campaigns_app_step s ON s.id = t.step_id
        JOIN campaigns_app_enrollment e ON e.id = t.enrollment_id JOIN campaigns_app_contact c ON c.id = e.contact_id
        WHERE t.status IN ('sent', 'sending', 'unknown')
        GROUP BY e.id, c.email, s.campaign_id, s.position HAVING count(*) > 1
    """,
    "nothing after reply, unsubscribe or hard bounce": """
        SELECT t.id::text, c.email || ': committed ' || t.sending_at || ', ' || i.kind || ' at ' || i.received_at, t.enrollment_id
        FROM campaigns_app_touch t JOIN campaigns_app_enrollment e ON e.id = t.enrollment_id
        JOIN campaigns_app_contact c ON c.id = e.contact_id
        JOIN campaigns_app_touch answered ON answered.enrollment_id = t.enrollment_id
        JOIN campaigns_app_inboundevent i ON i.touch_id = answered.id
        WHERE i.kind IN ('reply', 'unsubscribe', 'hard_bounce', 'complaint') AND t.sending_at > i.received_at
    """,
    "nothing outside the window": """
        SELECT t.id::text, coalesce('sent at ' || local.at || ' ' || (t.promise->>'zone'), 'sent without a promise'),
            t.enrollment_id
        FROM campaigns_app_touch t
        CROSS JOIN LATERAL (SELECT t.sending_at AT TIME ZONE (t.promise->>'zone') AS at) local
        WHERE t.sending_at IS NOT NULL AND (
            t.promise->'weekdays' @> to_jsonb(extract(isodow FROM local.at)::int - 1)
            AND local.at::time >= (t.promise->>'start')::time AND local.at::time < (t.promise->>'end')::time
        ) IS NOT TRUE
    """,
    "no more than the mailbox allows in 24 hours": """
        SELECT id::text, sends || ' mails in 24 hours, allowed ' || allowed, enrollment_id FROM (
            SELECT t.id, t.enrollment_id, (t.promise->>'mailbox_limit')::int AS allowed, count(*) OVER (
                PARTITION BY k.mailbox_id ORDER BY t.sending_at RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW
            ) AS sends
            FROM campaigns_app_touch t JOIN campaigns_app_enrollment e ON e.id = t.enrollment_id
            JOIN campaigns_app_campaign k ON k.id = e.campaign_id WHERE t.sending_at IS NOT NULL
        ) counted WHERE sends > allowed
    """,
    "no more than the campaign allows in 24 hours": """
        SELECT id::text, sends || ' mails in 24 hours, allowed ' || allowed, enrollment_id FROM (
            SELECT t.id, t.enrollment_id, (t.promise->>'campaign_limit')::int AS allowed, count(*) OVER (
                PARTITION BY e.campaign_id ORDER BY t.sending_at RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW
            ) AS sends
            FROM campaigns_app_touch t JOIN campaigns_app_enrollment e ON e.id = t.enrollment_id
            WHERE t.sending_at IS NOT NULL
        ) counted WHERE sends > allowed
    """,
    "every sent touch has a run id": """
        SELECT id::text, 'sent without the id of the run that wrote it', enrollment_id FROM campaigns_app_touch
        WHERE status IN ('sent', 'sending', 'unknown') AND langsmith_run_id = ''
    """,
    "nothing due is unclaimed for more than a minute": """
        SELECT id::text, 'due since ' || due_at, id FROM campaigns_app_enrollment
        WHERE status = 'active' AND due_at < now() - interval '1 minute'
    """,
}


@dataclass(frozen=True, slots=True)
class Violation:
    id: str
    detail: str
    enrollment_id: str


@dataclass(frozen=True, slots=True)
class Invariant:
    name: str
    count: int
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        return self.count == 0


def invariants() -> tuple[Invariant, ...]:
    """Every promise with its violations, read in one snapshot."""
    return tuple(check(name, sql) for name, sql in INVARIANTS.items())


def check(name: str, sql: str) -> Invariant:
    with connection.cursor() as cursor:
        columns = "id, detail, enrollment_id"
        cursor.execute(f"SELECT {columns}::text, count(*) OVER () FROM ({sql}) v({columns}) LIMIT {SHOWN}")  # noqa: S608 the SQL is this module's own
        rows = cursor.fetchall()
    return Invariant(name, rows[0][3] if rows else 0, tuple(Violation(*row[:3]) for row in rows))
