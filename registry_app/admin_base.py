"""What the admin classes of ours share: every write is recorded as its user's; machine-made rows are read-only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html

from registry_app.audit import Actor, set_actor

if TYPE_CHECKING:
    from django.db import models
    from django.http import HttpRequest

    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # generic for the type checker alone


class ActingAdmin(ModelAdmin):
    """Names the signed-in user to the audit triggers before any write (the admin's views are transactions)."""

    empty_value_display = ""

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        set_actor(Actor.of_request(request, "admin"))
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        set_actor(Actor.of_request(request, "admin"))
        super().save_formset(request, form, formset, change)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        set_actor(Actor.of_request(request, "admin"))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        set_actor(Actor.of_request(request, "admin"))
        super().delete_queryset(request, queryset)


class ReadOnlyAdmin(ModelAdmin):
    """For rows that machines write."""

    empty_value_display = ""
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def shown_json(value: object) -> str:
    """A value as readable JSON, closed until asked for; "" for nothing."""
    if value is None:
        return ""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<details><summary>Show</summary><pre class="admin-code">{}</pre></details>', text)
