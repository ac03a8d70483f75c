"""What an example of the sheet is, and the moment all of them share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.safestring import SafeString

MOMENT = datetime(2026, 11, 19, 10, 41, 7, 250_000, tzinfo=UTC)
#: What stands for the CSRF token in the examples' forms: whoever sends one is refused.
NO_TOKEN = "example"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Example:
    """A template that a page uses (`file.html#partial` for a part of it), and what it is given."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    #: Names what is no card by itself; it is shown in one then.
    title: str = ""
    pad: bool = False

    @property
    def drawn(self) -> SafeString:
        return render_to_string(self.template, {**self.context, "csrf_token": NO_TOKEN})


@dataclass(frozen=True, slots=True)
class Group:
    """Examples under one heading; `wide` ones take a row each."""

    title: str
    note: str
    examples: tuple[Example, ...]
    wide: bool = True


def at(seconds: float) -> datetime:
    """A moment of the example action, seconds after it began."""
    return MOMENT + timedelta(seconds=seconds)
