"""Who may see a page: refusals name the permission, so that one knows what to ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.contrib.auth.decorators import user_passes_test
from django.core.exceptions import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AnonymousUser, User
    from django.http.response import HttpResponseBase

View = TypeVar("View", bound="Callable[..., HttpResponseBase]")


def refusal(permission: str) -> str:
    return f"This needs the permission {permission}; ask someone who manages accounts."


def needs(permission: str) -> Callable[[View], View]:
    """A view for those who hold the permission: others are refused by its name, strangers sign in first."""

    def holds(user: User | AnonymousUser) -> bool:
        if user.is_authenticated and not user.has_perm(permission):
            raise PermissionDenied(refusal(permission))
        return user.is_authenticated

    return user_passes_test(holds)
