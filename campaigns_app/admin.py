from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html

from campaigns_app.models import (
    Campaign,
    Contact,
    Enrollment,
    InboundEvent,
    Mailbox,
    Step,
    Suppression,
    Touch,
)
from campaigns_app.writing import check_sequence_graph, check_steps
from feedback_app.admin import GivesFeedback
from registry_app.admin_base import NamedCells, OurAdmin, ReadOnlyAdmin


class Steps(NamedCells):
    """Holds what is typed here to what the service asks of a sequence."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        given = [form for form in self.forms if form.instance.pk or form.has_changed()]
        kept = [form for form in given if form not in self.deleted_forms]
        steps = sorted((form.instance for form in kept), key=lambda step: step.position)
        try:
            check_steps(steps)
            check_sequence_graph(self.instance.sequence_graph, len(steps))
        except ValidationError as error:
            raise ValidationError(error.messages) from error


class StepInline(admin.TabularInline):
    model = Step
    formset = Steps
    extra = 0


@admin.register(Campaign)
class CampaignAdmin(OurAdmin):
    list_display = ("name", "status", "mailbox", "created_at", "contacts")
    list_select_related = ("mailbox",)
    list_filter = ("status",)
    search_fields = ("name", "slug")
    inlines: ClassVar = [StepInline]
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    #: Changed by activate and pause alone, which carry the enrollments along.
    readonly_fields = ("status",)

    @admin.display(description="contacts")
    def contacts(self, campaign: Campaign) -> str:
        return format_html('<a href="{}">Import CSV</a>', reverse("campaigns:import", args=[campaign.slug]))


@admin.register(Mailbox)
class MailboxAdmin(OurAdmin):
    list_display = ("address", "display_name", "daily_limit")


@admin.register(Contact)
class ContactAdmin(OurAdmin):
    list_display = ("name", "email", "company", "timezone")
    search_fields = ("name", "email", "company")


@admin.register(Suppression)
class SuppressionAdmin(OurAdmin):
    list_display = ("email", "reason", "created_at")
    search_fields = ("email",)


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    list_display = ("contact", "campaign", "status", "position", "due_at")
    list_select_related = ("contact", "campaign")
    list_filter = ("status",)


@admin.register(Touch)
class TouchAdmin(ReadOnlyAdmin, GivesFeedback):
    run_id_field = "langsmith_run_id"
    list_display = ("subject", "status", "langsmith_run_id", "pool", "composed_at", "sent_at")
    list_filter = ("status",)
    search_fields = ("langsmith_run_id", "message_id")


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnlyAdmin):
    list_display = ("source_event_id", "kind", "received_at", "actor")
    list_filter = ("kind",)
