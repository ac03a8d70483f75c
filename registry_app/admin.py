"""Graphs (operational fields only), keys (shown once), and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages

from registry_app.admin_base import ActingAdmin, ReadOnlyAdmin
from registry_app.audit import Actor
from registry_app.models import SCOPES, ApiKey, AuditEntry, GraphRecord, PoolReport
from registry_app.services import OPERATIONAL_FIELDS, create_api_key, revoke_api_key

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    ModelForm = forms.ModelForm[ApiKey]
else:
    ModelForm = forms.ModelForm  # generic for the type checker alone


@admin.register(GraphRecord)
class GraphRecordAdmin(ActingAdmin):
    list_display = ("assistant_id", "home_pool", "enabled", "resumable", "missing_since", "synced_at")
    list_filter = ("home_pool", "enabled", "resumable")
    search_fields = ("assistant_id", "description")
    readonly_fields = (
        "assistant_id",
        "module",
        "home_pool",
        "input_shape",
        "input_schema",
        "description",
        "resumable",
        "spec_digest",
        "graph_digest",
        "synced_at",
        "missing_since",
    )
    fieldsets = (
        ("Operations (a draft until published)", {"fields": OPERATIONAL_FIELDS}),
        ("From the code (read-only)", {"fields": readonly_fields}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # graphs come from the code

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ApiKeyForm(ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[("*", "* (every scope)"), *((scope, scope) for scope in SCOPES)],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "project", "trusted_tracing", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ActingAdmin):
    form = ApiKeyForm
    list_display = ("name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at", "created_by")
    list_filter = ("revoked_at",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    issued = ("prefix", "created_at", "created_by", "last_used_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.issued if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False  # keys are revoked, so that their name stays on old records

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        fields = {name: form.cleaned_data[name] for name in form._meta.fields}
        issued = create_api_key(**fields, actor=Actor.of_request(request, "admin"))
        obj.pk, obj.prefix, obj.created_at = issued.key.pk, issued.key.prefix, issued.key.created_at
        messages.warning(request, f"The key, shown this once: {issued.raw}")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            revoke_api_key(key, actor=Actor.of_request(request, "admin"))
        messages.success(request, "Revoked.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "model", "object_id", "reason")
    list_filter = ("model", "action", "via")
    search_fields = ("actor", "object_id", "reason", "request_id")


@admin.register(PoolReport)
class PoolReportAdmin(ReadOnlyAdmin):
    list_display = ("pool", "url", "ok", "reported_at", "error")
