"""The history trigger, and the keys the platform itself gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import StateApps

TRIGGER = """
CREATE FUNCTION feedback_app_record_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb;
    now_is jsonb := jsonb_build_object(
        'score', NEW.score, 'value', NEW.value, 'comment', NEW.comment,
        'correction', NEW.correction, 'retracted_at', NEW.retracted_at);
    action text := 'created';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := jsonb_build_object(
            'score', OLD.score, 'value', OLD.value, 'comment', OLD.comment,
            'correction', OLD.correction, 'retracted_at', OLD.retracted_at);
        IF was = now_is THEN
            RETURN NULL;
        END IF;
        action := CASE
            WHEN NEW.retracted_at IS NOT NULL AND OLD.retracted_at IS NULL THEN 'retracted'
            ELSE 'edited' END;
    END IF;
    INSERT INTO feedback_app_feedbackevent (feedback_id, at, action, rater, before, after)
    VALUES (NEW.id, clock_timestamp(), action, NEW.rater, was, now_is);
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_history AFTER INSERT OR UPDATE ON feedback_app_feedback
FOR EACH ROW EXECUTE FUNCTION feedback_app_record_history();
"""
NO_TRIGGER = """
DROP TRIGGER feedback_history ON feedback_app_feedback;
DROP FUNCTION feedback_app_record_history();
"""

#: key, kind, minimum, maximum, direction, description
KEYS = (
    ("reply_received", "boolean", 0.0, 1.0, "higher", "The contact answered the mail this run wrote."),
    ("meeting_booked", "boolean", 0.0, 1.0, "higher", "The contact booked a meeting."),
    ("bounced", "boolean", 0.0, 1.0, "lower", "The mail this run wrote came back."),
    ("unsubscribed", "boolean", 0.0, 1.0, "lower", "The contact unsubscribed through this mail."),
    ("out_of_office", "boolean", 0.0, 1.0, "none", "An automatic reply named a date of return."),
    ("user_score", "score", 0.0, 1.0, "higher", "A person's rating of the run."),
)


def add_keys(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    model = apps.get_model("feedback_app", "FeedbackKey")
    for key, kind, minimum, maximum, direction, description in KEYS:
        defaults = {
            "kind": kind,
            "minimum": minimum,
            "maximum": maximum,
            "direction": direction,
            "description": description,
        }
        model.objects.get_or_create(key=key, defaults=defaults)


class Migration(migrations.Migration):
    dependencies = (("feedback_app", "0001_initial"),)
    operations = (
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
        migrations.RunPython(add_keys, migrations.RunPython.noop),
    )
