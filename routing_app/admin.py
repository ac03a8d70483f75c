"""Pools with their allowlists (the draft); graphs; revisions and dispatch records to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.html import format_html

from contract.routing_document import url_problem
from registry_app.admin_base import ActingAdmin, NamedCells, OfSmallTable, ReadOnlyAdmin, shown_json
from routing_app.graph_admin import GraphRecordAdmin
from routing_app.models import (
    AllowlistEntry,
    BreakerHold,
    DispatchRecord,
    DrillReport,
    Pool,
    RoutingRevision,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    TabularInline = admin.TabularInline[AllowlistEntry, Pool]
    ModelForm = forms.ModelForm[Pool]
else:
    ModelForm = forms.ModelForm
    TabularInline = admin.TabularInline  # generic for the type checker alone


__all__ = [
    "BreakerHoldAdmin",
    "DispatchRecordAdmin",
    "DrillReportAdmin",
    "GraphRecordAdmin",
    "PoolAdmin",
    "RoutingRevisionAdmin",
]


class PoolForm(ModelForm):
    class Meta:
        labels: ClassVar = {
            "base_urls": "Base URLs",
            "secret_env": "Secret's variable",
            "connect_timeout_s": "Connect timeout, s",
            "idle_timeout_s": "Idle timeout, s",
            "total_timeout_s": "Total timeout, s",
        }
        widgets: ClassVar = {"base_urls": forms.TextInput(attrs={"class": "vLargeTextField"})}

    def clean_base_urls(self) -> list[str]:
        """Django's own message of an array says only which item is wrong; ours says why."""
        urls: list[str] = self.cleaned_data["base_urls"]
        for number, url in enumerate(urls, start=1):
            if problem := url_problem(url):
                raise ValidationError(f"URL {number} {problem}.")
        return urls


class AllowlistInline(TabularInline):
    model = AllowlistEntry
    formset = NamedCells
    extra = 1


@admin.register(Pool)
class PoolAdmin(ActingAdmin):
    audited = ("routing_app_pool", "routing_app_allowlistentry")
    form = PoolForm
    change_form_template = "admin/routing_draft_form.html"
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
    audited = ("routing_app_routingrevision",)
    list_display = ("version", "short_digest", "author_name", "reason", "published_at", "rollback_of")
    search_fields = ("reason", "author_name", "digest")
    fields = (
        "version", "digest", "reason", "author_name", "published_at", "base_version", "rollback_of", "shown_document",
    )  # fmt: skip

    @admin.display(description="digest", ordering="digest")
    def short_digest(self, revision: RoutingRevision) -> str:
        return format_html('<code title="{}">{}</code>', revision.digest, revision.digest[:8])

    @admin.display(description="Document")
    def shown_document(self, revision: RoutingRevision) -> str:
        return shown_json(revision.document)


class InPool(OfSmallTable):
    title, parameter_name, table = "pool", "pool", Pool


class Ended(admin.SimpleListFilter):
    title, parameter_name = "outcome", "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("ok", "went well"), ("failed", "failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        failed = ~Q(error_kind="") | Q(graph_failed=True) | Q(status__gte=400)
        return {"ok": queryset.exclude(failed), "failed": queryset.filter(failed)}.get(
            self.value() or "", queryset
        )


@admin.register(DispatchRecord)
class DispatchRecordAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "assistant_id", "pool", "status", "error_kind", "took", "short_request_id")
    list_filter = (InPool, Ended)
    search_fields = ("=request_id", "=run_id", "=assistant_id")

    def get_fields(self, request: HttpRequest, obj: DispatchRecord | None = None) -> list[Any]:
        return ["took" if name == "total_ms" else name for name in super().get_fields(request, obj)]

    @admin.display(description="took", ordering="total_ms")
    def took(self, record: DispatchRecord) -> str:
        return f"{record.total_ms:,.1f}\u00a0ms" if record.total_ms is not None else ""

    @admin.display(description="request id", ordering="request_id")
    def short_request_id(self, record: DispatchRecord) -> str:
        return format_html('<code title="{}">{}</code>', record.request_id, record.request_id[:8])


@admin.register(BreakerHold)
class BreakerHoldAdmin(ReadOnlyAdmin):
    """Made and taken off on the Fleet page."""

    audited = ("routing_app_breakerhold",)
    list_display = ("pool", "url", "state", "until", "held_by", "reason")


@admin.register(DrillReport)
class DrillReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "state", "requested_by", "requested_at", "ended_at", "error")
    list_filter = ("state",)
