"""Feedback in the admin: machine-made rows are read, not edited; actions give, take back and send again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db import transaction

from feedback_app import services
from feedback_app.models import Delivery, Feedback, FeedbackEvent, FeedbackKey
from feedback_app.store import FeedbackError
from registry_app.admin_base import OfSmallTable, OurAdmin, ReadOnly, ReadOnlyAdmin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


class Rating(forms.Form):
    """What a person says of a run, beside the list's actions."""

    key = forms.CharField(required=False, max_length=180)
    score = forms.FloatField(required=False)
    comment = forms.CharField(required=False, max_length=10_000)


class RatingActionForm(ActionForm):
    """The same as typed: an action form that refuses says nothing of the reason."""

    key = forms.CharField(required=False)
    score = forms.CharField(required=False)
    comment = forms.CharField(required=False)


class GivesFeedback(OurAdmin):
    """A list whose rows belong to runs: give feedback on the runs of the chosen rows, all or none."""

    action_form = RatingActionForm
    actions: tuple[str, ...] = ("give_feedback",)
    #: The field that holds the run's id.
    run_id_field = "run_id"

    @admin.action(description="Give feedback on the runs", permissions=["give_feedback"])
    def give_feedback(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rating = Rating(request.POST)
        if not rating.is_valid():
            for name, texts in rating.errors.items():
                messages.error(request, f"{name}: {' '.join(map(str, texts))}")
            return
        runs = dict.fromkeys(str(getattr(row, self.run_id_field)) for row in queryset)
        actor = f"user:{request.user.get_username()}"
        try:
            with transaction.atomic():
                for run in runs:
                    services.submit_feedback(run_id=run, source="human", actor=actor, **rating.cleaned_data)
        except FeedbackError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"Feedback on {len(runs)} run{'s' * (len(runs) != 1)} is stored.")

    def has_give_feedback_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback_app.add_feedback")


@admin.register(FeedbackKey)
class FeedbackKeyAdmin(OurAdmin):
    list_display = ("key", "kind", "minimum", "maximum", "direction", "description")
    search_fields = ("key", "description")


class HistoryInline(ReadOnly, admin.TabularInline):
    model = FeedbackEvent
    fields = ("at", "action", "rater", "before", "after")
    readonly_fields = fields
    extra = 0


class OfKey(OfSmallTable):
    title, parameter_name, table = "key", "key", FeedbackKey


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin, GivesFeedback):
    list_display = ("key", "score", "source", "rater", "run_id", "assistant_id", "created_at", "retracted_at")
    list_filter = ("source", OfKey)
    search_fields = ("=run_id", "=key", "=source_event_id")
    inlines = (HistoryInline,)
    actions = ("give_feedback", "retract")

    @admin.action(description="Retract the chosen feedback", permissions=["retract"])
    def retract(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> None:
        rater = f"user:{request.user.get_username()}"
        done = sum(services.retract_feedback(feedback_id=one.pk, actor=rater) for one in queryset)
        messages.success(request, f"{done} retracted.")

    def has_retract_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback_app.change_feedback")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "feedback",
        "state",
        "attempts",
        "endpoint",
        "created_at",
        "next_try_at",
        "last_error",
    )
    list_filter = ("state",)
    list_select_related = ("feedback",)
    actions = ("send_again",)

    @admin.action(description="Send the chosen dead letters again", permissions=["resend"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = sum(services.resend(delivery_id=one.pk) for one in queryset)
        messages.success(request, f"{done} sent again; what is no dead letter was left alone.")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback_app.change_delivery")
