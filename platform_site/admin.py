"""Rows of libraries in the admin: sign-ins to read, with a way back in for who is locked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axes.models import AccessAttempt, AccessFailureLog, AccessLog  # type: ignore[import-untyped]
from axes.utils import reset  # type: ignore[import-untyped]
from django.contrib import admin, messages
from procrastinate.contrib.django.models import ProcrastinateJob

from registry_app.admin_base import ReadOnlyAdmin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

# Its pages break the content security policy and time out on long tables; jobs have a page of ours.
admin.site.unregister(ProcrastinateJob)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """What counts towards a lock-out; gone once it is over or the person signed in."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "path_info")
    search_fields = ("username", "ip_address")
    fields = ("attempt_time", "username", "ip_address", "failures_since_start", "path_info", "user_agent")
    actions = ("let_in",)

    @admin.action(description="Forget the failures, so that they may sign in", permissions=["let_in"])
    def let_in(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        forgotten = sum(reset(ip=one.ip_address, username=one.username) for one in queryset)
        messages.success(request, f"{forgotten} attempt{'s' * (forgotten != 1)} forgotten.")

    def has_let_in_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")


@admin.register(AccessLog, AccessFailureLog)
class AccessLogAdmin(ReadOnlyAdmin):
    list_display = ("attempt_time", "username", "ip_address", "path_info", "user_agent")
    search_fields = ("username", "ip_address")
    fields = ("attempt_time", "username", "ip_address", "path_info", "user_agent")
