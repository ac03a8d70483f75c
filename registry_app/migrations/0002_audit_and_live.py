from django.db import migrations

# One trigger function writes every audit entry, so that no path to a table can forget it. Arguments of a trigger:
# the column that names the row, and the columns that never enter an entry.
AUDIT = """
CREATE FUNCTION registry_app_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hidden text[] := coalesce(TG_ARGV[1], '{}')::text[];
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN before := to_jsonb(OLD) - hidden; END IF;
    IF TG_OP <> 'DELETE' THEN after := to_jsonb(NEW) - hidden; END IF;
    IF before IS NOT DISTINCT FROM after THEN RETURN NULL; END IF;
    INSERT INTO registry_app_auditentry (at, actor, via, request_id, reason, action, model, object_id, before, after)
    VALUES (
        clock_timestamp(),
        coalesce(nullif(current_setting('platform.actor', true), ''), 'database:' || current_user),
        coalesce(current_setting('platform.via', true), ''),
        coalesce(current_setting('platform.request_id', true), ''),
        coalesce(current_setting('platform.reason', true), ''),
        lower(TG_OP), TG_TABLE_NAME, coalesce(after, before) ->> TG_ARGV[0], before, after
    );
    RETURN NULL;
END $$;

CREATE FUNCTION registry_app_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION registry_app_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('platform_live', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON registry_app_graphrecord
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('assistant_id', '{synced_at}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON registry_app_apikey
    FOR EACH ROW EXECUTE FUNCTION registry_app_audit('id', '{key_hash,last_used_at}');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_app_auditentry
    FOR EACH ROW EXECUTE FUNCTION registry_app_append_only();
CREATE TRIGGER live AFTER INSERT OR DELETE
    OR UPDATE OF name, prefix, key_hash, scopes, project, trusted_tracing, expires_at, revoked_at ON registry_app_apikey
    FOR EACH STATEMENT EXECUTE FUNCTION registry_app_live('keys');
"""

UNDO = """
DROP TRIGGER live ON registry_app_apikey;
DROP TRIGGER append_only ON registry_app_auditentry;
DROP TRIGGER audit ON registry_app_apikey;
DROP TRIGGER audit ON registry_app_graphrecord;
DROP FUNCTION registry_app_live();
DROP FUNCTION registry_app_append_only();
DROP FUNCTION registry_app_audit();
"""


class Migration(migrations.Migration):
    dependencies = [("registry_app", "0001_initial")]

    operations = [migrations.RunSQL(AUDIT, UNDO)]
