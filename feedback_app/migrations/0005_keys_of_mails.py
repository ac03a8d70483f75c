"""Keys of what else comes back about a mail."""

from django.db import migrations

KEYS = {
    "complained": ("lower", "The contact called the mail this run wrote spam."),
    "soft_bounced": ("lower", "The mail this run wrote could not be delivered for now."),
}


def add_keys(apps, schema_editor):
    model = apps.get_model("feedback_app", "FeedbackKey")
    for key, (direction, description) in KEYS.items():
        defaults = {
            "kind": "boolean",
            "minimum": 0.0,
            "maximum": 1.0,
            "direction": direction,
            "description": description,
        }
        model.objects.get_or_create(key=key, defaults=defaults)


class Migration(migrations.Migration):
    dependencies = [("feedback_app", "0004_rollups_in_one_order")]
    operations = [migrations.RunPython(add_keys, migrations.RunPython.noop)]
