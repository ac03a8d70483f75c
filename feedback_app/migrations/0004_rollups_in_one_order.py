"""Roll feedback up when its transaction commits, one transaction at a time.

Two transactions that each moved several roll-ups, or a row of feedback and a roll-up, in different orders waited for
each other. At its commit a transaction holds every row of feedback it will ever want, and while it holds the lock
taken here nobody else wants a roll-up.
"""

from django.db import migrations

LOCK = "PERFORM pg_advisory_xact_lock(hashtext('feedback_app_feedbackrollup'));"
COUNTS = "IF NEW.bound_at IS NULL AND OLD.bound_at IS NULL THEN RETURN NULL; END IF;"
WITHOUT_LOCK = "BEGIN\n    INSERT INTO"
WITH_LOCK = f"BEGIN\n    {COUNTS}\n    {LOCK}\n    INSERT INTO"
# The body stands in the migration before; here it gets the lock, and on the way back it loses it.
REWRITE = """
DO $do$ BEGIN
    EXECUTE replace(pg_get_functiondef('feedback_app_roll_up'::regproc), $old${old}$old$, $new${new}$new$);
END $do$;
"""
TRIGGER = """
DROP TRIGGER feedback_roll_up ON feedback_app_feedback;
CREATE {kind} feedback_roll_up AFTER INSERT OR UPDATE OR DELETE ON feedback_app_feedback
{when} FOR EACH ROW EXECUTE FUNCTION feedback_app_roll_up();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("feedback_app", "0003_feedback_rollups"),
    ]

    operations = [
        migrations.RunSQL(
            REWRITE.format(old=WITHOUT_LOCK, new=WITH_LOCK)
            + TRIGGER.format(kind="CONSTRAINT TRIGGER", when="DEFERRABLE INITIALLY DEFERRED"),
            REWRITE.format(old=WITH_LOCK, new=WITHOUT_LOCK) + TRIGGER.format(kind="TRIGGER", when=""),
        ),
    ]
