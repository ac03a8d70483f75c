"""Pools with their allowlists (the draft); revisions and dispatch records to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from contract.routing_document import url_problem
from registry_app.admin_base import ActingAdmin, ReadOnlyAdmin
from routing_app.models import AllowlistEntry, DispatchRecord, DrillReport, Pool, RoutingRevision

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[AllowlistEntry, Pool]
    ModelForm = forms.ModelForm[Pool]
else:
    ModelForm = forms.ModelForm
    TabularInline = admin.TabularInline  # generic for the type checker alone


class PoolForm(ModelForm):
    def clean_base_urls(self) -> list[str]:
        """Django's own message of an array says only which item is wrong; ours says why."""
        urls: list[str] = self.cleaned_data["base_urls"]
        for number, url in enumerate(urls, start=1):
            if problem := url_problem(url):
                raise ValidationError(f"URL {number} {problem}.")
        return urls


class AllowlistInline(TabularInline):
    model = AllowlistEntry
    extra = 1


@admin.register(Pool)
class PoolAdmin(ActingAdmin):
    form = PoolForm
    list_display = ("slug", "position", "enabled", "base_urls", "secret_env", "concurrency", "queue")
    list_filter = ("enabled",)
    search_fields = ("slug",)
    inlines = (AllowlistInline,)
    fieldsets = (
        (None, {"fields": ("slug", "position", "enabled", "base_urls", "secret_env")}),
        (
            "Limits",
            {"fields": ("concurrency", "queue", "connect_timeout_s", "idle_timeout_s", "total_timeout_s")},
        ),
    )

    def get_readonly_fields(self, request: object, obj: Pool | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()


@admin.register(RoutingRevision)
class RoutingRevisionAdmin(ReadOnlyAdmin):
    list_display = ("version", "digest", "author_name", "reason", "published_at", "rollback_of")
    search_fields = ("reason", "author_name", "digest")


@admin.register(DispatchRecord)
class DispatchRecordAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "assistant_id", "pool", "status", "error_kind", "total_ms", "request_id")
    list_filter = ("pool", "status")
    search_fields = ("=request_id", "=run_id", "=assistant_id")


@admin.register(DrillReport)
class DrillReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "state", "requested_by", "requested_at", "ended_at", "error")
    list_filter = ("state",)
