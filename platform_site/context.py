"""What the frame of every page shows: where you are and which routing is live."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    from django.http import HttpRequest

NAV = (
    ("Home", "/"),
    ("Traces", "/traces/"),
    ("Graphs", "/registry/"),
    ("Routing", "/routing/"),
    ("Campaigns", "/campaigns/"),
    ("Feedback", "/feedback/"),
    ("Diagnostics", "/diagnostics/"),
    ("Fleet", "/fleet/"),
)
#: Those a viewer may have chosen; else the system's.
THEMES = frozenset({"light", "dark"})


@dataclass(frozen=True, slots=True)
class NavItem:
    label: str
    href: str
    current: bool


def nav_items(path: str) -> tuple[NavItem, ...]:
    return tuple(
        NavItem(label, href, path == href if href == "/" else path.startswith(href)) for label, href in NAV
    )


def live_routing() -> Any:
    """The newest published revision (`version`, `digest`); None before the first, or without a database."""
    try:
        return import_module("routing_app.selectors").live_summary()
    except (ImportError, AttributeError, DatabaseError):
        return None


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. The routing chip costs its query only where a page draws it."""
    theme = request.COOKIES.get("theme")
    return {
        "shell": {
            "nav": nav_items(request.path),
            "routing": SimpleLazyObject(live_routing),
            "theme": theme if theme in THEMES else "auto",
        }
    }
