"""A form made from a graph's input shape, and the input made from what was filled in.

An object of the shape becomes a group of fields, one level down; texts, numbers, choices and lists of texts are
fields of their kind; what is nested deeper is written as JSON. Fields left empty are left out of the input.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_TEXT = 100_000
LONG = 500
_NUMBERS: dict[str, type[forms.Field]] = {"integer": forms.IntegerField, "number": forms.FloatField}


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]


class RunForm(forms.Form):
    """One graph's input. `data` is what was sent, None for the first look, which shows the shape's first example."""

    def __init__(self, schema: Mapping[str, Any], data: Any = None) -> None:
        examples = schema.get("examples") or [{}]
        super().__init__(data, initial=dict(_flat(schema, examples[0])), prefix="input")
        for name, part, required in _leaves(schema):
            self.fields[name] = _field(name, part, required)

    def input(self) -> dict[str, Any]:
        """The graph's input, of a valid form."""
        made: dict[str, Any] = {}
        for name, value in self.cleaned_data.items():
            if value in (None, "", []):
                continue
            group, dot, leaf = name.partition(".")
            if dot:
                made.setdefault(group, {})[leaf] = value
            else:
                made[group] = value
        return made


def _leaves(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """(name, shape, required) of each field; `contact.name` is a leaf of the object `contact`."""
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        inner = part.get("properties")
        if not inner:
            yield name, part, name in required
            continue
        for leaf, shape in inner.items():
            yield f"{name}.{leaf}", shape, name in required and leaf in part.get("required", ())


def _flat(schema: Mapping[str, Any], example: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part, _ in _leaves(schema):
        group, dot, leaf = name.partition(".")
        value = example.get(group)
        if dot:
            value = value.get(leaf) if isinstance(value, dict) else None
        value = part.get("default") if value is None else value
        if value is not None:
            yield name, value


def _field(name: str, part: Mapping[str, Any], required: bool) -> forms.Field:
    kind = part.get("type") if isinstance(part.get("type"), str) else ""
    common: dict[str, Any] = {
        "label": name,
        "required": required,
        "help_text": str(part.get("description", "")),
    }
    if "enum" in part:
        choices = [(one, one) for one in part["enum"]]
        return forms.ChoiceField(choices=choices if required else [("", ""), *choices], **common)
    if kind == "boolean":
        return forms.BooleanField(**common | {"required": False})
    if kind in _NUMBERS:
        limits: dict[str, Any] = {"min_value": part.get("minimum"), "max_value": part.get("maximum")}
        return _NUMBERS[kind](**common, **limits)
    if kind == "string":
        longest = min(part.get("maxLength", MAX_TEXT), MAX_TEXT)
        widget = forms.Textarea(attrs={"rows": 3}) if longest > LONG else forms.TextInput()
        return forms.CharField(max_length=longest, widget=widget, **common)
    if kind == "array" and part.get("items", {}).get("type") == "string":
        return LinesField(
            max_length=MAX_TEXT, **common | {"help_text": f"{common['help_text']} One a line.".strip()}
        )
    text = f"{common['help_text']} JSON.".strip()
    widget = forms.Textarea(attrs={"rows": 4, "class": "u-mono", "spellcheck": "false"})
    return forms.JSONField(widget=widget, encoder=_Plain, **common | {"help_text": text})


class _Plain(json.JSONEncoder):
    """Shows examples as they are written, not with every letter beyond ASCII escaped."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "ensure_ascii": False})
