"""The campaign editor's forms: one campaign, its steps, a file of contacts."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.forms import formset_factory

from campaigns_app.models import WEEKDAYS, Campaign, Step, Suppression
from campaigns_app.writing import FIRST_WRITER, writers
from contract.shapes import SHAPES

TONES = SHAPES[FIRST_WRITER]["properties"]["tone"]["enum"]
MOST_STEPS = 10


class CampaignForm(forms.ModelForm):  # type: ignore[type-arg]
    mailbox = forms.EmailField(help_text="The address the mails are sent from.")
    weekdays = forms.TypedMultipleChoiceField(
        coerce=int, choices=list(enumerate(WEEKDAYS)), widget=forms.CheckboxSelectMultiple
    )
    sequence_graph = forms.ChoiceField(
        required=False,
        label="Sequence",
        help_text="A resumable graph keeps each contact's sequence on a thread; else each step's graph runs by itself.",
    )

    class Meta:
        model = Campaign
        fields: ClassVar = [
            "name",
            "slug",
            "product",
            "goal",
            "timezone",
            "weekdays",
            "window_start",
            "window_end",
            "daily_limit",
        ]
        widgets: ClassVar = {
            "window_start": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "window_end": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        graphs = [(spec.assistant_id, spec.assistant_id) for spec in writers(resumable=True)]
        self.fields["sequence_graph"].choices = [*graphs, ("", "each step by itself")]  # type: ignore[attr-defined]


class StepForm(forms.Form):
    assistant_id = forms.ChoiceField(label="Graph", required=False)
    delay = forms.IntegerField(min_value=0, max_value=8_760)
    delay_unit = forms.ChoiceField(label="Unit", choices=Step.Unit.choices)
    variants = forms.MultipleChoiceField(
        label="Tones",
        required=False,
        choices=[(tone, tone) for tone in TONES],
        widget=forms.CheckboxSelectMultiple,
    )
    same_thread = forms.BooleanField(label="In the same thread", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(spec.assistant_id, spec.assistant_id) for spec in writers(resumable=False)]
        self.fields["assistant_id"].choices = [("", "the usual one"), *names]  # type: ignore[attr-defined]


StepForms = formset_factory(StepForm, extra=0, max_num=MOST_STEPS, validate_max=True, can_delete=True)


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file", help_text="Columns email and name; title, company, timezone, facts, notes."
    )
    also_elsewhere = forms.BooleanField(
        required=False, label="Also enroll contacts who are active in another campaign"
    )


class SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Suppression
        fields: ClassVar = ["email", "reason", "note"]
