"""The three groups. Each app's permissions are handed out when its migrations have run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.apps import AppConfig

OUR_APPS = frozenset({"registry_app", "routing_app", "traces_app", "feedback_app", "campaigns_app"})
#: Rows that no operator makes, changes or deletes.
MACHINE_MADE = frozenset(
    {
        "graphrecord",
        "auditentry",
        "poolreport",
        "routingdraft",
        "routingrevision",
        "dispatchrecord",
        "drillreport",
    }
)
#: What a person asks for and the platform then makes: a drill, a call from a graph's page.
ASKED_FOR = frozenset({"change_graphrecord", "add_drillreport", "add_dispatchrecord"})


def grant(sender: AppConfig, **_: Any) -> None:
    """Give viewer, operator and publisher what the app's models allow (after `migrate`; idempotent)."""
    from django.contrib.auth.models import Group, Permission

    if sender.label not in OUR_APPS:
        return
    groups = {name: Group.objects.get_or_create(name=name)[0] for name in ("viewer", "operator", "publisher")}
    for permission in Permission.objects.filter(content_type__app_label=sender.label).select_related(
        "content_type"
    ):
        for name in _groups_of(permission.codename, permission.content_type.model):
            groups[name].permissions.add(permission)


def _groups_of(codename: str, model: str) -> tuple[str, ...]:
    if codename.startswith("view_"):
        return ("viewer", "operator", "publisher")
    if codename == "publish_routing" or model == "apikey":
        return ("publisher",)
    if model in MACHINE_MADE and codename not in ASKED_FOR:
        return ()
    return ("operator", "publisher")
