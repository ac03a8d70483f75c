from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("routing_app", "0005_draft_audit")]
    operations = [
        migrations.AddIndex(
            model_name="dispatchrecord",
            index=models.Index(
                condition=models.Q(
                    models.Q(("error_kind", ""), _negated=True),
                    ("graph_failed", True),
                    ("status__gte", 400),
                    _connector="OR",
                ),
                fields=["-received_at", "-id"],
                name="dispatch_failed",
            ),
        ),
        migrations.AddIndex(
            model_name="dispatchrecord",
            index=BrinIndex(autosummarize=True, fields=["ended_at"], name="dispatch_ended"),
        ),
    ]
