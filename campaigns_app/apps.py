from __future__ import annotations

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "campaigns_app"
    verbose_name = "Campaigns"

    def ready(self) -> None:
        from campaigns_app.selectors import runs_of
        from traces_app.filter_sql import runs_of_campaign

        runs_of_campaign.append(runs_of)
