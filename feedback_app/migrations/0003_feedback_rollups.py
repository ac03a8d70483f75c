"""Feedback roll-ups per minute, kept by a trigger so that every door counts and a repeat counts once."""

# ruff: noqa: S608 - statements are put together from constants of this file alone
from django.db import migrations, models

KEY = "minute, assistant_id, pool, model, routing_version, key, source"
# What a row is worth to its minute: nothing until its run has arrived, and nothing once it is taken back.
WORTH = """
    date_trunc('minute', {row}.created_at) AS minute, {row}.assistant_id, {row}.pool, {row}.model,
    coalesce({row}.routing_version, 0) AS routing_version, {row}.key, {row}.source, {sign} AS given,
    CASE WHEN abs({row}.score) < 1e15 THEN {sign} ELSE 0 END AS scored,
    CASE WHEN abs({row}.score) < 1e15 THEN {sign} * {row}.score::numeric(38, 12) ELSE 0 END AS score_sum
"""
COUNTS = "{row}.bound_at IS NOT NULL AND {row}.retracted_at IS NULL"


def worth(row: str, sign: int) -> str:
    return f"SELECT {WORTH.format(row=row, sign=sign)}"


TRIGGER = f"""
CREATE FUNCTION feedback_app_roll_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_app_feedbackrollup AS r ({KEY}, given, scored, score_sum)
    SELECT {KEY}, sum(given), sum(scored), sum(score_sum)
    FROM ({worth("NEW", 1)} WHERE {COUNTS.format(row="NEW")}
          UNION ALL {worth("OLD", -1)} WHERE {COUNTS.format(row="OLD")}) moved
    GROUP BY {KEY} HAVING sum(given) <> 0 OR sum(scored) <> 0 OR sum(score_sum) <> 0
    ORDER BY {KEY}
    ON CONFLICT ({KEY}) DO UPDATE SET given = r.given + excluded.given,
        scored = r.scored + excluded.scored, score_sum = r.score_sum + excluded.score_sum;
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_roll_up AFTER INSERT OR UPDATE OR DELETE ON feedback_app_feedback
FOR EACH ROW EXECUTE FUNCTION feedback_app_roll_up();
INSERT INTO feedback_app_feedbackrollup ({KEY}, given, scored, score_sum)
SELECT {KEY}, sum(given), sum(scored), sum(score_sum)
FROM ({worth("f", 1)} FROM feedback_app_feedback f WHERE {COUNTS.format(row="f")}) held GROUP BY {KEY};
"""
NO_TRIGGER = """
DROP TRIGGER feedback_roll_up ON feedback_app_feedback;
DROP FUNCTION feedback_app_roll_up();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("feedback_app", "0002_history_and_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedbackRollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute",
                        "assistant_id",
                        "pool",
                        "model",
                        "routing_version",
                        "key",
                        "source",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("assistant_id", models.TextField()),
                ("pool", models.TextField()),
                ("model", models.TextField()),
                ("routing_version", models.IntegerField()),
                ("key", models.TextField()),
                ("source", models.TextField()),
                ("given", models.BigIntegerField()),
                ("scored", models.BigIntegerField()),
                ("score_sum", models.DecimalField(decimal_places=12, max_digits=38)),
            ],
        ),
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
    ]
