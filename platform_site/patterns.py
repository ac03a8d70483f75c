"""The examples of `/_patterns`: one of each state, so that all of them can be looked at and checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms

from platform_site.templatetags import ui

TONES = ("", "ok", "bad", "warn", "run", "accent")


class ExampleForm(forms.Form):
    """Bound to bad values on the sheet, so that it shows its errors."""

    name = forms.CharField(help_text="Shown to colleagues.", max_length=40)
    score = forms.FloatField(min_value=0, max_value=1)
    comment = forms.CharField(widget=forms.Textarea, required=False)
    pool = forms.ChoiceField(choices=[(name, name) for name in ("CORE", "EMAIL", "CLASSIFY", "DISCOVERY")])


def sheet() -> dict[str, Any]:
    """Template context of the pattern sheet."""
    form = ExampleForm({"name": "", "score": "7", "pool": "EMAIL"})
    form.is_valid()
    return {
        "states": tuple(ui.STATES),
        "kinds": tuple(ui.KINDS),
        "tones": TONES,
        "form": form,
        "moment": datetime(2026, 11, 19, 10, 41, 7, 250_000, tzinfo=UTC),
        "durations": (0.0004, 0.014, 0.36, 9.42, 30.0, 200.0, 334_800.0),
        "costs": (0, 0.000012, 0.0226, 412.5),
        "run_id": "019aa2f4-8c31-7e02-b7aa-0242ac120002",
    }
