"""Graphs in the admin: operators set the operational fields, and see at each row where it disagrees with the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html_join

from registry_app.admin_base import ActingAdmin, shown_json
from registry_app.models import GraphRecord
from registry_app.services import OPERATIONAL_FIELDS
from routing_app.selectors import drift_by_subject

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from registry_app.drift import Drift


@admin.register(GraphRecord)
class GraphRecordAdmin(ActingAdmin):
    audited = ("registry_app_graphrecord",)
    change_list_template = "admin/registry_app/graphrecord/change_list.html"
    change_form_template = "admin/routing_draft_form.html"
    list_filter = ("home_pool", "enabled", "resumable")
    search_fields = ("assistant_id", "description")
    readonly_fields = (
        "assistant_id",
        "description",
        "module",
        "home_pool",
        "resumable",
        "input_shape",
        "shown_schema",
        "spec_digest",
        "graph_digest",
        "synced_at",
        "missing_since",
    )
    fieldsets = (
        ("Operations (a draft until published)", {"fields": OPERATIONAL_FIELDS}),
        ("From the code (read-only)", {"fields": readonly_fields}),
    )

    @admin.display(description="resumable", ordering="resumable")
    def can_resume(self, record: GraphRecord) -> str:
        return "yes" if record.resumable else ""  # a cross would look like a fault

    @admin.display(description="Input schema")
    def shown_schema(self, record: GraphRecord) -> str:
        return shown_json(record.input_schema)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = drift_by_subject()
        request.drift = found  # type: ignore[attr-defined] # asked for once, shown at every row
        items = [item for items in found.values() for item in items]
        return super().changelist_view(request, {**(extra_context or {}), "drift": items})

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        found: dict[str, list[Drift]] = getattr(request, "drift", {})

        @admin.display(description="drift")
        def drift(record: GraphRecord) -> str:
            return format_html_join(
                " ", '<span class="admin-badge" title="{}">{}</span>',
                ((f"{item.message} {item.remedy}", item.kind) for item in found.get(record.pk, ())),
            )  # fmt: skip

        return ("assistant_id", "home_pool", "enabled", "can_resume", drift, "synced_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # graphs come from the code

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
