"""Input shapes of the graphs of pool CORE."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    MAYA,
    NORTHWIND,
    OFFER,
    PROFILE,
    RELAY,
    SAM,
    SENDER,
    fields,
    shape,
)

CORE_SHAPES: dict[str, dict[str, object]] = {
    "lead_pipeline": shape(
        "A company and a contact there, to take from research to a first e-mail",
        fields(
            "company",
            "contact",
            "offer",
            company=COMPANY,
            contact=CONTACT,
            profile=PROFILE,
            offer=OFFER,
            sender=SENDER,
        ),
        {
            "company": {**NORTHWIND, "github": "northwind-robotics-demo"},
            "contact": MAYA,
            "offer": RELAY,
            "sender": SAM,
        },
        {"company": {"name": "Mystery Ltd"}, "contact": {"name": "Ada Byron"}, "offer": {"product": "Relay"}},
    ),
    "probe": shape(
        "A canary call: adds one, sleeps or fails on demand",
        {
            "properties": {
                "x": {"type": "integer", "default": 0},
                "fail": {"type": "boolean", "default": False},
                "sleep": {"type": "number", "minimum": 0, "maximum": 3_600, "default": 0},
            },
            "additionalProperties": False,
        },
        {"x": 1},
    ),
}
