"""A day whose month already holds what was kept of it gets no partition of its own again."""

from __future__ import annotations

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION traces_app_make_partitions(first date, last date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE d date; parent text; made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('traces_app_partitions'));
    FOR d IN SELECT generate_series(first, last, interval '1 day')::date LOOP
        FOREACH parent IN ARRAY ARRAY['traces_app_runpart', 'traces_app_chunk', 'traces_app_attachment'] LOOP
            IF to_regclass(parent || to_char(d, '_YYYYMMDD')) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                                   parent || to_char(d, '_YYYYMMDD'), parent, d, d + 1);
                    made := made + 1;
                EXCEPTION WHEN invalid_object_definition THEN NULL; -- its month is there: a clock went back
                END;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("traces_app", "0009_short_pending")]

    operations = [migrations.RunSQL(FUNCTION, migrations.RunSQL.noop)]
