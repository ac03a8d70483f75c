from django.db import migrations

TRIGGERS = """
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON routing_app_pool
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('slug');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON routing_app_allowlistentry
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('pool_id', '{id}');
CREATE TRIGGER audit AFTER INSERT ON routing_app_routingrevision
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('version', '{document}');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON routing_app_routingrevision
    FOR EACH ROW EXECUTE FUNCTION registry_app_append_only();
CREATE TRIGGER live AFTER INSERT ON routing_app_routingrevision
    FOR EACH STATEMENT EXECUTE FUNCTION registry_app_live('routing');
INSERT INTO routing_app_routingdraft (id, base_version) VALUES (1, 0);
"""

UNDO = """
DELETE FROM routing_app_routingdraft;
DROP TRIGGER live ON routing_app_routingrevision;
DROP TRIGGER append_only ON routing_app_routingrevision;
DROP TRIGGER audit ON routing_app_routingrevision;
DROP TRIGGER audit ON routing_app_allowlistentry;
DROP TRIGGER audit ON routing_app_pool;
"""


class Migration(migrations.Migration):
    dependencies = [("routing_app", "0001_initial"), ("registry_app", "0002_audit_and_live")]

    operations = [migrations.RunSQL(TRIGGERS, UNDO)]
