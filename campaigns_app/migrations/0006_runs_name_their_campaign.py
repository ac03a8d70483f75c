from __future__ import annotations

from django.db import migrations

# Runs carry the slug of their campaign from here on; the traces of those that wrote or read its mails before say so too.
_TELL = """
UPDATE traces_app_tracehead h SET facts = ARRAY(SELECT DISTINCT unnest(h.facts || said.facts))
FROM (
    SELECT p.trace_id, array_agg('meta.campaign=' || c.slug) AS facts
    FROM (
        SELECT t.enrollment_id, t.langsmith_run_id FROM campaigns_app_touch t
        UNION ALL SELECT t.enrollment_id, i.langsmith_run_id
        FROM campaigns_app_inboundevent i JOIN campaigns_app_touch t ON t.id = i.touch_id
    ) run
    JOIN campaigns_app_enrollment e ON e.id = run.enrollment_id
    JOIN campaigns_app_campaign c ON c.id = e.campaign_id
    JOIN traces_app_runpart p ON p.run_id = CASE WHEN run.langsmith_run_id <> '' THEN run.langsmith_run_id::uuid END
    GROUP BY p.trace_id
) said
WHERE h.trace_id = said.trace_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns_app", "0005_tally"),
        ("traces_app", "0010_kept_months"),
    ]

    operations = [migrations.RunSQL(_TELL, migrations.RunSQL.noop)]
