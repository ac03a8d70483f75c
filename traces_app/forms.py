"""Forms of the trace pages."""

from __future__ import annotations

from django import forms


class FeedbackForm(forms.Form):
    """A person's judgement of one run. One of score and value is enough."""

    key = forms.RegexField(
        r"^[A-Za-z0-9_.:-]{1,180}$",
        initial="reply_received",
        help_text="What is judged, for example reply_received or approved.",
        error_messages={"invalid": "Use letters, digits and _ . : - only."},
    )
    score = forms.FloatField(required=False, help_text="A number; 1 is yes, 0 is no.")
    value = forms.CharField(required=False, max_length=500, help_text="A category or a short text.")
    comment = forms.CharField(required=False, max_length=5_000, widget=forms.Textarea(attrs={"rows": 4}))

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        if not self.errors and cleaned.get("score") is None and not cleaned.get("value"):
            self.add_error("score", "Give a score or a value.")
        return cleaned
