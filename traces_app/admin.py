"""Prices and redaction rules are edited here; what machines wrote is only read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.db.models import TextField

from registry_app.admin_base import ActingAdmin, ReadOnlyAdmin
from traces_app.models import Price, Project, Quarantine, RedactionRule

if TYPE_CHECKING:
    RuleModelForm = forms.ModelForm[RedactionRule]
else:
    RuleModelForm = forms.ModelForm  # generic for the type checker alone


@admin.register(Price)
class PriceAdmin(ActingAdmin):
    formfield_overrides: ClassVar = {TextField: {"widget": AdminTextInputWidget}}
    list_display = ("model", "valid_from", "valid_until", "input_per_million", "output_per_million")
    search_fields = ("model",)


class RedactionRuleForm(RuleModelForm):
    """Takes no expression that ingest would have to leave out."""

    class Meta:
        model = RedactionRule
        fields = ("kind", "expression", "project", "replacement", "enabled")
        widgets: ClassVar = {"expression": AdminTextareaWidget(attrs={"rows": 3})}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("kind") == RedactionRule.Kind.PATTERN:
            try:
                re.compile(cleaned.get("expression", ""))
            except re.error as error:
                self.add_error("expression", f"This is no regular expression: {error}.")
        return cleaned


@admin.register(RedactionRule)
class RedactionRuleAdmin(ActingAdmin):
    form = RedactionRuleForm
    formfield_overrides: ClassVar = {TextField: {"widget": AdminTextInputWidget}}
    list_display = ("kind", "expression", "project", "replacement", "enabled")
    list_filter = ("kind", "enabled")


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "door", "reason", "item", "excerpt")
    list_display_links = None  # the key is a digest, no page shows more
    list_filter = ("door",)
    search_fields = ("reason", "item")


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "created_at")
    search_fields = ("name",)
