"""The form made from an input shape: every graph's first example goes through it and stays an input of that graph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from registry_app.evaluations import RECORD
from registry_app.models import GraphRecord
from routing_app.dispatcher.shapes import InputShape
from routing_app.run_form import RunForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client


def sent(form: RunForm) -> dict[str, Any]:
    """What a browser sends of the form as it is shown."""
    shown = {field.html_name: field.value() for field in form}
    return {name: value for name, value in shown.items() if value not in (None, False)}


@pytest.mark.parametrize("shape", sorted({spec.input_shape for spec in GRAPHS}))
def test_the_first_example_survives_the_form(shape: str) -> None:
    schema = SHAPES[shape]
    form = RunForm(schema, sent(RunForm(schema)))
    assert form.is_valid(), form.errors
    assert InputShape(schema).errors(form.input()) == []
    example = schema["examples"][0]
    assert form.input().keys() >= {
        name for name, value in example.items() if value not in ("", [], {}, False, None)
    }


def test_what_is_wrong_is_said_at_its_field() -> None:
    schema = {
        "properties": {
            "who": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "size": {"type": ["integer", "string"]},
            "n": {"type": "integer", "minimum": 1},
            "tone": {"enum": ["plain", "warm"]},
            "lines": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["who"],
    }
    bad = RunForm(schema, {"input-n": "0", "input-tone": "loud", "input-size": "{"})
    assert not bad.is_valid()
    assert bad.errors.keys() == {"who.name", "n", "tone", "size"}
    good = RunForm(schema, {"input-who.name": "Mara", "input-size": "7", "input-lines": "a\n\n b "})
    assert good.is_valid()
    assert good.input() == {"who": {"name": "Mara"}, "size": 7, "lines": ["a", "b"]}


def test_the_page_of_a_graph_shows_its_form_and_refuses(live: int, member: Callable[[str], Client]) -> None:
    assert {record.pk for record in GraphRecord.objects.all()} == {spec.assistant_id for spec in GRAPHS}
    viewer = member("viewer")
    for record in GraphRecord.objects.all():
        assert viewer.get(f"/registry/graphs/{record.pk}").status_code == 200, record.pk
    text = viewer.get("/registry/graphs/email_compose").content.decode()
    assert "needs routing_app.add_dispatchrecord" in text
    assert 'to <b class="u-pool">EMAIL</b>' in text
    viewer.handler.enforce_csrf_checks = False
    assert viewer.post("/registry/graphs/email_compose").status_code == 403


def test_the_page_of_a_graph_says_how_often_it_is_right(live: int, member: Callable[[str], Client]) -> None:
    viewer = member("viewer")
    pages = {
        record.pk: viewer.get(f"/registry/graphs/{record.pk}").content.decode()
        for record in GraphRecord.objects.filter(pk__in=["classify_reply", "score_contact", "email_compose"])
    }
    recorded = json.loads(RECORD.read_text())["classify_reply"]["offline-rules"]["by_split"]
    for split in ("held_out", "tuned"):
        right, total = recorded[split]["right"], recorded[split]["total"]
        shown = f'<b>{100 * right // total}%</b> <span class="u-quiet">{right} of {total}</span>'
        assert shown in pages["classify_reply"]
    assert "rules written by hand, no language model" in pages["classify_reply"]
    assert '<span class="u-quiet">none</span>' in pages["score_contact"]  # it has no tuned examples
    assert "How often it is right" not in pages["email_compose"]


def test_a_field_left_out_is_422_with_the_form(live: int, admin_client: Client) -> None:
    answer = admin_client.post("/registry/graphs/email_compose", {"input-contact.name": "Maya"})
    assert answer.status_code == 422
    assert "This field is required." in answer.content.decode()
    assert 'value="Maya"' in answer.content.decode()
