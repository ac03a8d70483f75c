"""Feedback by the trace it is of: the list, the filter and retention ask for it so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("feedback_app", "0006_rollups_tell_how_sure"),)

    operations = (migrations.AddIndex("feedback", models.Index(fields=("trace_id",), name="feedback_trace")),)
