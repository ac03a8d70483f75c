"""Keys (shown once), the audit, and what pools said. Graphs stand in `routing_app`, where their drift is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import models
from django.utils.html import format_html, format_html_join

from registry_app.admin_base import ActingAdmin, ReadOnlyAdmin, shown_json
from registry_app.audit import Actor
from registry_app.models import SCOPES, ApiKey, AuditEntry, PoolReport
from registry_app.services import create_api_key, revoke_api_key

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    ModelForm = forms.ModelForm[ApiKey]
else:
    ModelForm = forms.ModelForm  # generic for the type checker alone


class ApiKeyForm(ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[("*", "* (every scope)"), *((scope, scope) for scope in SCOPES)],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "project", "trusted_tracing", "expires_at")


class Expiry(AdminSplitDateTime):
    """Its boxes have names; Django leaves them to the words beside, which name nothing."""

    def __init__(self) -> None:
        super().__init__()
        for box, name in zip(self.widgets, ("Expiry date", "Expiry time"), strict=True):
            box.attrs["aria-label"] = name


@admin.register(ApiKey)
class ApiKeyAdmin(ActingAdmin):
    audited = ("registry_app_apikey",)
    form = ApiKeyForm
    formfield_overrides: ClassVar = {models.DateTimeField: {"widget": Expiry}}
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
    list_display = ("at", "actor", "action", "what", "reason")
    list_filter = ("model", "action", "via")
    search_fields = ("actor", "object_id", "reason", "request_id")
    fields = (
        "at",
        "actor",
        "via",
        "reason",
        "request_id",
        "action",
        "model",
        "object_id",
        "changed",
        "shown_before",
        "shown_after",
    )

    @admin.display(description="what", ordering="object_id")
    def what(self, entry: AuditEntry) -> str:
        """The row, and of an allowlist what it gained or lost."""
        return format_html("{} <b>{}</b> {}", entry.kind, entry.object_id, entry.listed_id)

    @admin.display(description="Changed")
    def changed(self, entry: AuditEntry) -> str:
        """Field by field, from what to what."""
        before, after = entry.before or {}, entry.after or {}
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return format_html_join(
            "", "<div><code>{}</code>: {} → {}</div>",
            ((name, str(before.get(name, "nothing")), str(after.get(name, "nothing"))) for name in names),
        )  # fmt: skip

    @admin.display(description="Before")
    def shown_before(self, entry: AuditEntry) -> str:
        return shown_json(entry.before)

    @admin.display(description="After")
    def shown_after(self, entry: AuditEntry) -> str:
        return shown_json(entry.after)


@admin.register(PoolReport)
class PoolReportAdmin(ReadOnlyAdmin):
    list_display = ("pool", "url", "ok", "reported_at", "error")
    fields = ("pool", "url", "ok", "error", "reported_at", "shown_graphs")

    @admin.display(description="Graphs it attests")
    def shown_graphs(self, report: PoolReport) -> str:
        return shown_json(report.graphs)
