from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib import admin

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

if TYPE_CHECKING:
    from django.http import HttpRequest


class StepInline(admin.TabularInline):
    model = Step
    extra = 0


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    list_display = ("name", "status", "mailbox", "created_at")
    list_select_related = ("mailbox",)
    list_filter = ("status",)
    search_fields = ("name", "slug")
    inlines: ClassVar = [StepInline]
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    #: Changed by activate and pause alone, which carry the enrollments along.
    readonly_fields = ("status",)


@admin.register(Mailbox)
class MailboxAdmin(admin.ModelAdmin):
    list_display = ("address", "display_name", "daily_limit")


@admin.register(Contact)
class ContactAdmin(admin.ModelAdmin):
    list_display = ("name", "email", "company", "timezone")
    search_fields = ("name", "email", "company")


@admin.register(Suppression)
class SuppressionAdmin(admin.ModelAdmin):
    list_display = ("email", "reason", "created_at")
    search_fields = ("email",)


class MachineMade(admin.ModelAdmin):
    """Rows the engine writes: to read, not to edit."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Enrollment)
class EnrollmentAdmin(MachineMade):
    list_display = ("contact", "campaign", "status", "position", "due_at")
    list_select_related = ("contact", "campaign")
    list_filter = ("status",)


@admin.register(Touch)
class TouchAdmin(MachineMade):
    list_display = ("subject", "status", "langsmith_run_id", "pool", "composed_at", "sent_at")
    list_filter = ("status",)
    search_fields = ("langsmith_run_id", "message_id")


@admin.register(InboundEvent)
class InboundEventAdmin(MachineMade):
    list_display = ("source_event_id", "kind", "received_at", "actor")
    list_filter = ("kind",)
