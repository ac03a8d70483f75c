import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

# What stored traces can still say: their root's metadata and tags, and the columns of their runs.
FILL = """
UPDATE traces_app_tracehead h SET facts = coalesce((
    SELECT array_agg(DISTINCT fact ORDER BY fact) FROM (
        SELECT 'meta.' || line AS fact FROM regexp_split_to_table(h.metadata, E'\\n') line WHERE line <> ''
        UNION ALL SELECT 'tag=' || tag FROM unnest(h.tags) tag
        UNION ALL SELECT column_.field || '=' || left(column_.value, 200) FROM traces_app_runpart p,
            LATERAL (VALUES ('name', p.name), ('assistant', p.assistant_id), ('pool', upper(p.pool)),
                ('model', p.model), ('project', p.project)) column_ (field, value)
        WHERE p.trace_id = h.trace_id AND p.day = h.day AND column_.value <> ''
    ) said), '{}')
"""


class Migration(migrations.Migration):
    dependencies = [("traces_app", "0004_copies_and_links")]
    operations = [
        migrations.AddField(
            model_name="tracehead",
            name="facts",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(), blank=True, default=list, size=None
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="tracehead", name="metadata"),
        migrations.AddIndex(
            model_name="tracehead",
            index=models.Index(
                condition=models.Q(("status", 2)), fields=["-seen_at", "-trace_id"], name="tracehead_failed"
            ),
        ),
        migrations.AddIndex(
            model_name="tracehead",
            index=django.contrib.postgres.indexes.GinIndex(fields=["facts"], name="tracehead_facts"),
        ),
        migrations.AddIndex(
            model_name="tracehead",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["updated_at"], name="tracehead_updated"
            ),
        ),
    ]
