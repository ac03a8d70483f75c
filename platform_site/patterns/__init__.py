"""The examples of `/_patterns`: every component in every state, so that all of them can be looked at and checked.

Nothing is drawn twice: each example is a template that a page uses, given example rows. Nothing here asks the database,
and no form carries the token that would let it act.
"""

from __future__ import annotations

from typing import Any

from django import forms

from platform_site.patterns import planes, trace
from platform_site.patterns.example import MOMENT
from platform_site.templatetags import ui
from routing_app.models import DrillReport

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
        "moment": MOMENT,
        "durations": (0.0004, 0.014, 0.36, 9.42, 30.0, 200.0, 334_800.0),
        "costs": (0, 0.000012, 0.0226, 412.5),
        "run_id": "019aa2f4-8c31-7e02-b7aa-0242ac120002",
        "campaign_states": ("active", "paused", "draft"),
        "enrollment_states": ("active", "paused", "replied", "finished", "parked", "failed", "stopped"),
        "touch_states": ("composed", "sending", "sent", "unknown", "failed"),
        "drills": [DrillReport(state=state) for state, _ in DrillReport.STATES],
        "groups": (*trace.groups(), *planes.groups()),
    }
