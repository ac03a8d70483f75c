"""Calls counted as they are stored, so that home need not read hours of records at each glance."""

from django.db import migrations, models

# A statement's new rows are counted together and in one order, so that two writers cannot wait for each other. Rows that
# were there already (a replay) are not among them. `least` takes NaN for the greatest: no duration stops a record.
COUNT = """
INSERT INTO routing_app_callrollup AS r (slot, pool, bucket, calls, failed, first_failed_at)
SELECT date_bin('5 minutes', received_at, 'epoch'), pool,
    CASE WHEN total_ms > 1 THEN least(191, ceil(ln(least(total_ms, 1e12)) / ln(1.1))) ELSE 0 END,
    count(*), count(*) FILTER (WHERE bad), min(received_at) FILTER (WHERE bad)
FROM (SELECT *, error_kind <> '' OR graph_failed OR status >= 500 AS bad FROM {rows}) d
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (slot, pool, bucket) DO UPDATE SET calls = r.calls + excluded.calls,
    failed = r.failed + excluded.failed, first_failed_at = least(r.first_failed_at, excluded.first_failed_at);
"""
TRIGGER = f"""
CREATE FUNCTION routing_app_count_calls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {COUNT.format(rows="stored")}
    RETURN NULL;
END $$;
CREATE TRIGGER count_calls AFTER INSERT ON routing_app_dispatchrecord
REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION routing_app_count_calls();
{COUNT.format(rows="routing_app_dispatchrecord WHERE received_at >= now() - interval '5 hours'")}
"""
NO_TRIGGER = """
DROP TRIGGER count_calls ON routing_app_dispatchrecord;
DROP FUNCTION routing_app_count_calls();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("routing_app", "0007_breaker_hold"),
    ]

    operations = [
        migrations.CreateModel(
            name="CallRollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "slot",
                        "pool",
                        "bucket",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slot", models.DateTimeField()),
                ("pool", models.TextField()),
                ("bucket", models.SmallIntegerField()),
                ("calls", models.BigIntegerField()),
                ("failed", models.BigIntegerField()),
                ("first_failed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
    ]
