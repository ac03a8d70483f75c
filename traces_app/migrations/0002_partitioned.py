"""The tables that are partitioned by day, the sketch's SQL, and room on the pages of rows that are updated in place."""

from django.db import migrations

PARTITIONED = """
CREATE TABLE traces_app_runpart (
    day date NOT NULL,
    trace_id uuid NOT NULL,
    run_id uuid NOT NULL,
    digest bigint NOT NULL,
    chunk_id bigint NOT NULL,
    slot integer NOT NULL,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    routing_version integer,
    start_time timestamptz,
    end_time timestamptz,
    first_token timestamptz,
    parent_id uuid,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    graph_root boolean,
    name text,
    run_type text,
    project text,
    assistant_id text,
    pool text,
    graph_digest text,
    dispatch_id text,
    thread_id text,
    model text,
    provider text,
    cost text,
    PRIMARY KEY (run_id, digest, kind, trace_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX traces_app_runpart_trace ON traces_app_runpart (trace_id);

CREATE TABLE traces_app_chunk (
    day date NOT NULL,
    trace_id uuid NOT NULL,
    chunk_id bigint NOT NULL,
    facts bytea NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (trace_id, chunk_id, day)
) PARTITION BY RANGE (day);
ALTER TABLE traces_app_chunk ALTER facts SET STORAGE EXTERNAL, ALTER payload SET STORAGE EXTERNAL;

CREATE TABLE traces_app_attachment (
    day date NOT NULL,
    trace_id uuid NOT NULL,
    run_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (trace_id, run_id, name, day)
) PARTITION BY RANGE (day);
CREATE INDEX traces_app_attachment_run ON traces_app_attachment (run_id);
ALTER TABLE traces_app_attachment ALTER data SET STORAGE EXTERNAL;

ALTER TABLE traces_app_tracehead SET (fillfactor = 70);
ALTER TABLE traces_app_rollup SET (fillfactor = 50);

-- Makes the day partitions from first to last that are not there yet; callers may race.
CREATE FUNCTION traces_app_make_partitions(first date, last date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE d date; parent text; made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('traces_app_partitions'));
    FOR d IN SELECT generate_series(first, last, interval '1 day')::date LOOP
        FOREACH parent IN ARRAY ARRAY['traces_app_runpart', 'traces_app_chunk', 'traces_app_attachment'] LOOP
            IF to_regclass(parent || to_char(d, '_YYYYMMDD')) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               parent || to_char(d, '_YYYYMMDD'), parent, d, d + 1);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION traces_app_sketch_add(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY i) FROM unnest(a, b) WITH ORDINALITY AS u(x, y, i));
CREATE AGGREGATE traces_app_sketch_sum(bigint[]) (sfunc = traces_app_sketch_add, stype = bigint[], initcond = '{}');
"""

UNDO = """
DROP FUNCTION traces_app_make_partitions(date, date);
DROP AGGREGATE traces_app_sketch_sum(bigint[]);
DROP FUNCTION traces_app_sketch_add(bigint[], bigint[]);
DROP TABLE traces_app_attachment;
DROP TABLE traces_app_chunk;
DROP TABLE traces_app_runpart;
"""

# Public list prices at the time of writing, US dollars for a million tokens (input, output); edited in the admin.
PRICES = {
    "gpt-4o*": ("2.50", "10.00"),
    "gpt-4o-mini*": ("0.15", "0.60"),
    "gpt-4.1*": ("2.00", "8.00"),
    "gpt-4.1-mini*": ("0.40", "1.60"),
    "claude-3-5-haiku*": ("0.80", "4.00"),
    "claude-3-5-sonnet*": ("3.00", "15.00"),
    "claude-sonnet-4*": ("3.00", "15.00"),
}


def add_prices(apps, schema_editor):
    price = apps.get_model("traces_app", "Price")
    price.objects.bulk_create(
        price(model=model, valid_from="2024-01-01", input_per_million=given, output_per_million=made)
        for model, (given, made) in PRICES.items()
    )


class Migration(migrations.Migration):
    dependencies = [("traces_app", "0001_trace_store")]
    operations = [
        migrations.RunSQL(PARTITIONED, UNDO),
        migrations.RunPython(add_prices, migrations.RunPython.noop),
    ]
