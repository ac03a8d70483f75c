"""Input shapes of the graphs of pool CORE."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    LINES,
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
    "text_to_sql": shape(
        "A question about the platform's own work",
        fields("question", question={"type": "string", "minLength": 1, "maxLength": 1_000}),
        {"question": "Which graphs were the slowest this week?"},
        {"question": "What is the weather in Lyon?"},
    ),
    "lead_gen_team": shape(
        "A company, and what is to be offered to it",
        fields(
            "company",
            "offer",
            company=COMPANY,
            profile=PROFILE,
            offer=OFFER,
            sender=SENDER,
            people={"type": "array", "items": CONTACT, "maxItems": 50},
            texts=LINES,
        ),
        {"company": NORTHWIND, "offer": RELAY, "sender": SAM, "people": [MAYA]},
    ),
}
