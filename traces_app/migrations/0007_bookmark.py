from django.db import migrations, models

# Half of the index after 75,000 spans was entries that wait to be sorted in, which each filter reads one by one; of a page
# of heads an eighth is room enough, as most are written once or twice.
LEANER = """
ALTER INDEX tracehead_facts SET (gin_pending_list_limit = 1024);
ALTER TABLE traces_app_tracehead SET (fillfactor = 88);
"""
FORMER = """
ALTER INDEX tracehead_facts RESET (gin_pending_list_limit);
ALTER TABLE traces_app_tracehead SET (fillfactor = 70);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("traces_app", "0006_sightings_outside_actions"),
    ]

    operations = [
        migrations.RunSQL(LEANER, FORMER),
        migrations.CreateModel(
            name="Bookmark",
            fields=[
                ("job", models.TextField(primary_key=True, serialize=False)),
                ("updated_at", models.DateTimeField()),
                ("trace_id", models.UUIDField()),
            ],
        ),
    ]
