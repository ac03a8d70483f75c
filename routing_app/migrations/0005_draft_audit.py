from django.db import migrations

# Keeping a draft on top of a newer revision changes nothing but this row; it is an operator's decision all the same.
TRIGGER = """
CREATE TRIGGER audit AFTER UPDATE ON routing_app_routingdraft
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('id');
"""


class Migration(migrations.Migration):
    dependencies = [("routing_app", "0004_drill_report")]

    operations = [migrations.RunSQL(TRIGGER, "DROP TRIGGER audit ON routing_app_routingdraft;")]
