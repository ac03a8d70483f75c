"""What the admin classes of ours share: every write is recorded as its user's; machine-made rows are read-only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.forms.models import BaseInlineFormSet
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from registry_app.audit import Actor, set_actor

if TYPE_CHECKING:
    from django.db import models
    from django.http import HttpRequest, HttpResponse

    InlineFormSet = BaseInlineFormSet[Any, Any, Any]
    ModelAdmin = admin.ModelAdmin[Any]
else:
    InlineFormSet = BaseInlineFormSet
    ModelAdmin = admin.ModelAdmin  # generic for the type checker alone

#: Of the rows of machines so many can be paged through: to count millions takes seconds.
MOST = 10_000


class OurAdmin(ModelAdmin):
    """Unknown values stay empty, and the history of a row is told by the audit where there is one."""

    empty_value_display = ""
    #: Tables whose audit entries are named after a row of this model; none: Django's own history.
    audited: tuple[str, ...] = ()

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The audit also knows what pages, commands and the API did."""
        if not self.audited:
            return super().history_view(request, object_id, extra_context)
        query = urlencode({"model__in": ",".join(self.audited), "object_id__exact": unquote(object_id)})
        return HttpResponseRedirect(f"{reverse('admin:registry_app_auditentry_changelist')}?{query}")


class ActingAdmin(OurAdmin):
    """Names the signed-in user to the audit triggers before any write (the admin's views are transactions)."""

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


class NamedCells(InlineFormSet):
    """Of a table of rows: each box is named by its column, whose head names nothing in Django's own."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        of = "" if index is None else f", row {index + 1}"
        for name, field in form.fields.items():
            field.widget.attrs["aria-label"] = f"{field.label or name.capitalize()}{of}"


class ReadOnly:
    """No add, no change, no delete by hand: machines write these rows."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class FirstRows(Paginator):  # type: ignore[type-arg] # generic for the type checker alone
    """Pages through the newest rows and counts no further; a filter or a search finds those behind them."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MOST].count())


class OrMore(int):
    """A count that stopped here."""

    def __str__(self) -> str:
        return f"{int(self):,} or more"


class FirstRowsList(ChangeList):
    """Says so where there may be more."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.result_count == MOST:
            self.result_count = OrMore(MOST)


class OfSmallTable(admin.SimpleListFilter):
    """A filter by a field (`parameter_name`) of rows of machines, whose values are the keys of a small table."""

    table: type[models.Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, key) for key in self.table._default_manager.values_list("pk", flat=True)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ReadOnlyAdmin(ReadOnly, OurAdmin):
    """Such rows as lists and pages, however many there are: their filters name values that some small table holds."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count of all rows for each value
    paginator = FirstRows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FirstRowsList


def shown_json(value: object) -> str:
    """A value as readable JSON, closed until asked for; "" for nothing."""
    if value is None:
        return ""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<details><summary>Show</summary><pre class="admin-code">{}</pre></details>', text)
