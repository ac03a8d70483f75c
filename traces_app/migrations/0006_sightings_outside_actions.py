from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("traces_app", "0005_facts_of_actions")]
    operations = [
        migrations.AlterField(
            model_name="findingsighting", name="trace_id", field=models.UUIDField(null=True)
        ),
    ]
