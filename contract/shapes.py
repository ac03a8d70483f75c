"""The input shapes of the fleet as JSON Schema 2020-12. The first example of each must run with no key, model or network."""

from __future__ import annotations

_COMPANY: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 20_000, "default": ""},
        "website": {"type": "string", "maxLength": 2_000},
    },
    "required": ["name"],
    "additionalProperties": False,
}

_LEAD: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "company": {"type": "string", "minLength": 1, "maxLength": 200},
        "email": {"type": "string", "maxLength": 320},
        "title": {"type": "string", "maxLength": 200},
        "notes": {"type": "string", "maxLength": 20_000},
    },
    "required": ["name", "company"],
    "additionalProperties": False,
}

_PRODUCT: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": 2_000}


def _shape(title: str, schema: dict[str, object], *examples: dict[str, object]) -> dict[str, object]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        **schema,
        "examples": list(examples),
    }


SHAPES: dict[str, dict[str, object]] = {
    "email_compose": _shape(
        "A lead and the campaign to write to them about",
        {
            "properties": {
                "lead": _LEAD,
                "campaign": {
                    "type": "object",
                    "properties": {"product": _PRODUCT, "goal": {"type": "string", "maxLength": 2_000}},
                    "required": ["product"],
                    "additionalProperties": False,
                },
                "tone": {"enum": ["friendly", "formal", "direct"], "default": "friendly"},
            },
            "required": ["lead", "campaign"],
            "additionalProperties": False,
        },
        {
            "lead": {"name": "Ada Byron", "company": "Analytical Engines", "title": "Head of Engineering"},
            "campaign": {"product": "tracing for agent fleets", "goal": "a 20 minute call"},
            "tone": "friendly",
        },
    ),
    "classify_company": _shape(
        "A company to place in a segment",
        {"properties": {"company": _COMPANY}, "required": ["company"], "additionalProperties": False},
        {
            "company": {
                "name": "Northwind Advisory",
                "description": "A consultancy of 40 people that builds data platforms and AI agents for banks.",
                "website": "https://northwind.example",
            }
        },
    ),
    "gh_lead_research": _shape(
        "A GitHub search or an organisation to research for leads",
        {
            "properties": {
                "query": {"type": "string", "minLength": 1, "maxLength": 500},
                "org": {"type": "string", "pattern": "^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
            },
            "anyOf": [{"required": ["query"]}, {"required": ["org"]}],
            "additionalProperties": False,
        },
        {"query": "langgraph agents in production", "limit": 5},
        {"org": "langchain-ai", "limit": 5},
    ),
    "lead_pipeline": _shape(
        "A company, a contact there, and the product to offer",
        {
            "properties": {
                "company": _COMPANY,
                "contact": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "maxLength": 200},
                        "email": {"type": "string", "maxLength": 320},
                        "title": {"type": "string", "maxLength": 200},
                        "notes": {"type": "string", "maxLength": 20_000},
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                },
                "product": _PRODUCT,
            },
            "required": ["company", "contact", "product"],
            "additionalProperties": False,
        },
        {
            "company": {
                "name": "Northwind Advisory",
                "description": "A consultancy of 40 people that builds data platforms and AI agents for banks.",
                "website": "https://northwind.example",
            },
            "contact": {"name": "Grace Murray", "title": "CTO"},
            "product": "tracing for agent fleets",
        },
    ),
    "probe": _shape(
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
