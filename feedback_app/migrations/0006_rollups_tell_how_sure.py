"""Roll-ups by prompt version too, and with all that a mean and its interval are made of: pages read no feedback for them."""

# ruff: noqa: S608 - statements are put together from constants of these files alone
from importlib import import_module

from django.db import migrations, models

before = import_module("feedback_app.migrations.0003_feedback_rollups")
locked = import_module("feedback_app.migrations.0004_rollups_in_one_order").Migration.operations[0]

KEY = "minute, assistant_id, prompt_version, pool, model, routing_version, key, source"
SUMS = ("given", "scored", "score_sum", "square_sum", "shares")
# What a row is worth to its minute: nothing until its run has arrived, and nothing once it is taken back.
WORTH = """
    date_trunc('minute', {row}.created_at) AS minute, {row}.assistant_id, {row}.prompt_version, {row}.pool, {row}.model,
    coalesce({row}.routing_version, 0) AS routing_version, {row}.key, {row}.source, {sign} AS given,
    CASE WHEN abs({row}.score) < 1e15 THEN {sign} ELSE 0 END AS scored,
    CASE WHEN abs({row}.score) < 1e15 THEN {sign} * {row}.score::numeric(38, 12) ELSE 0 END AS score_sum,
    CASE WHEN abs({row}.score) < 1e15 THEN {sign} * {row}.score::numeric(38, 12) * {row}.score::numeric(38, 12)
        ELSE 0 END AS square_sum,
    CASE WHEN {row}.score BETWEEN 0 AND 1 THEN {sign} ELSE 0 END AS shares
"""
COUNTS = "{row}.bound_at IS NOT NULL AND {row}.retracted_at IS NULL"
SUMMED = ", ".join(f"sum({name})" for name in SUMS)


def worth(row: str, sign: int) -> str:
    return f"SELECT {WORTH.format(row=row, sign=sign)}"


TRIGGER = f"""
CREATE FUNCTION feedback_app_roll_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.bound_at IS NULL AND OLD.bound_at IS NULL THEN RETURN NULL; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('feedback_app_feedbackrollup'));
    INSERT INTO feedback_app_feedbackrollup AS r ({KEY}, {", ".join(SUMS)})
    SELECT {KEY}, {SUMMED}
    FROM ({worth("NEW", 1)} WHERE {COUNTS.format(row="NEW")}
          UNION ALL {worth("OLD", -1)} WHERE {COUNTS.format(row="OLD")}) moved
    GROUP BY {KEY} HAVING sum(given) <> 0 OR sum(scored) <> 0 OR sum(score_sum) <> 0
    ORDER BY {KEY}
    ON CONFLICT ({KEY}) DO UPDATE SET {", ".join(f"{name} = r.{name} + excluded.{name}" for name in SUMS)};
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER feedback_roll_up AFTER INSERT OR UPDATE OR DELETE ON feedback_app_feedback
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION feedback_app_roll_up();
INSERT INTO feedback_app_feedbackrollup ({KEY}, {", ".join(SUMS)})
SELECT {KEY}, {SUMMED}
FROM ({worth("f", 1)} FROM feedback_app_feedback f WHERE {COUNTS.format(row="f")}) held GROUP BY {KEY};
"""


class Migration(migrations.Migration):
    dependencies = [("feedback_app", "0005_keys_of_mails")]

    operations = [
        migrations.RunSQL(before.NO_TRIGGER, before.TRIGGER + locked.sql),
        migrations.DeleteModel("FeedbackRollup"),
        migrations.CreateModel(
            name="FeedbackRollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute",
                        "assistant_id",
                        "prompt_version",
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
                ("prompt_version", models.TextField()),
                ("pool", models.TextField()),
                ("model", models.TextField()),
                ("routing_version", models.IntegerField()),
                ("key", models.TextField()),
                ("source", models.TextField()),
                ("given", models.BigIntegerField()),
                ("scored", models.BigIntegerField()),
                ("score_sum", models.DecimalField(decimal_places=12, max_digits=38)),
                ("square_sum", models.DecimalField(decimal_places=24, max_digits=64)),
                ("shares", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(TRIGGER, before.NO_TRIGGER),
    ]
