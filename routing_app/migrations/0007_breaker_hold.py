from django.db import migrations, models

# Holds reach dispatchers as keys do.
TRIGGERS = """
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON routing_app_breakerhold
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('id');
CREATE TRIGGER live AFTER INSERT OR UPDATE OR DELETE ON routing_app_breakerhold
    FOR EACH STATEMENT EXECUTE FUNCTION registry_app_live('breakers');
"""
UNDO = """
DROP TRIGGER live ON routing_app_breakerhold;
DROP TRIGGER audit ON routing_app_breakerhold;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("routing_app", "0006_failed_calls"),
    ]

    operations = [
        migrations.CreateModel(
            name="BreakerHold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("pool", models.CharField(max_length=31)),
                ("url", models.CharField(max_length=2000)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open: it gets no call"),
                            ("closed", "closed: every call is tried"),
                        ],
                        max_length=6,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("held_by", models.CharField(max_length=200)),
                ("until", models.DateTimeField()),
            ],
            options={
                "ordering": ("pool", "url"),
                "constraints": [models.UniqueConstraint(fields=("pool", "url"), name="one_hold_per_replica")],
            },
        ),
        migrations.RunSQL(TRIGGERS, UNDO),
    ]
