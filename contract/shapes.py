"""The input shapes of the fleet as JSON Schema 2020-12. The first example of each must run with no key, model or network."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any

_LINE: dict[str, object] = {"type": "string", "maxLength": 400}
_TEXT: dict[str, object] = {"type": "string", "maxLength": 20_000}
_LINES: dict[str, object] = {"type": "array", "items": _TEXT, "maxItems": 50}
_NAME: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": 200}
_COUNT: dict[str, object] = {"type": "integer", "minimum": 0}


def _record(required: tuple[str, ...] = (), **properties: dict[str, object]) -> dict[str, object]:
    """An object whose named fields are checked and which may carry further facts of the caller's own."""
    return {"type": "object", "properties": properties, "required": list(required)}


_COMPANY = _record(
    ("name",),
    name=_NAME,
    description=_TEXT,
    website=_LINE,
    industry=_LINE,
    country=_LINE,
    employees={"type": ["integer", "string"], "description": "a number or a range such as 50-100"},
    github={**_LINE, "description": "name or address of its GitHub organisation"},
    facts={**_LINES, "description": "what is known about it, one fact a line, usable in a letter"},
)
_CONTACT = _record(name=_NAME, role=_LINE, email=_LINE)
_OFFER = _record(
    ("product",),
    product=_NAME,
    value={**_LINE, "description": "what it does for the reader, starting with a verb"},
    proof={**_LINE, "description": "one sentence that backs the value"},
    goal={**_LINE, "description": "what the mail is to lead to, such as a 20 minute call"},
    ask={**_LINE, "description": "the one question to close with, when it is not about the goal"},
)
_SENDER = _record(name=_LINE, role=_LINE, company=_LINE)
_PROFILE = _record(
    description=_TEXT,
    industries=_LINES,
    countries=_LINES,
    keywords=_LINES,
    excluded={**_LINES, "description": "words that rule a company out"},
    min_employees=_COUNT,
    max_employees=_COUNT,
)
_MESSAGE = _record(("body",), **{"from": _LINE, "subject": _TEXT, "body": _TEXT})
_DAY: dict[str, object] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"}
_TONE: dict[str, object] = {"enum": ["friendly", "formal", "direct"], "default": "friendly"}

_NORTHWIND: dict[str, object] = {
    "name": "Northwind Robotics",
    "industry": "logistics technology",
    "employees": 140,
    "country": "France",
    "description": "Warehouse automation platform with an API for retailers.",
    "facts": ["a second warehouse lab opened in Lyon in May", "four backend roles are open"],
}
_MAYA: dict[str, object] = {
    "name": "Maya Laurent",
    "role": "Head of Operations",
    "email": "maya@northwind.example",
}
_RELAY: dict[str, object] = {
    "product": "Relay",
    "value": "turns every new lead into a researched first e-mail within minutes",
    "proof": "Two logistics teams of your size book 30% more meetings with it.",
}
_SAM: dict[str, object] = {"name": "Sam Okafor", "company": "Relay Labs"}


def _shape(title: str, schema: dict[str, object], *examples: dict[str, object]) -> dict[str, object]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        **schema,
        "examples": list(examples),
    }


def _fields(*required: str, **properties: dict[str, object]) -> dict[str, object]:
    """The fields of an input; any other is refused by name."""
    return {"properties": properties, "required": list(required), "additionalProperties": False}


SHAPES: dict[str, dict[str, Any]] = {
    "email_compose": _shape(
        "Who writes to whom, about what",
        _fields(
            "contact",
            "company",
            "offer",
            contact=_CONTACT,
            company=_COMPANY,
            offer=_OFFER,
            sender=_SENDER,
            tone=_TONE,
        ),
        {"contact": _MAYA, "company": _NORTHWIND, "offer": _RELAY, "sender": _SAM, "tone": "friendly"},
        {
            "contact": {"name": "Ada Byron"},
            "company": {"name": "Analytical Engines"},
            "offer": {"product": "Relay"},
        },
    ),
    "email_followup": _shape(
        "What email_compose takes, and the mails already sent",
        _fields(
            "contact",
            "company",
            "offer",
            "previous",
            contact=_CONTACT,
            company=_COMPANY,
            offer=_OFFER,
            sender=_SENDER,
            tone=_TONE,
            previous={"type": "array", "items": _MESSAGE, "minItems": 1, "maxItems": 20},
            last_one={"type": "boolean", "default": False},
        ),
        {
            "contact": _MAYA,
            "company": _NORTHWIND,
            "offer": _RELAY,
            "sender": _SAM,
            "previous": [
                {
                    "subject": "Relay for Northwind Robotics",
                    "body": "Hi Maya, I noticed that a second warehouse lab opened in Lyon in May. Is a call useful?",
                }
            ],
        },
    ),
    "email_reply": _shape(
        "The answer we got, and what we know to answer it",
        _fields(
            "message",
            message=_MESSAGE,
            contact=_CONTACT,
            company=_COMPANY,
            offer=_OFFER,
            sender=_SENDER,
            answers={**_LINES, "description": "facts the letter may state, such as a price"},
            tone=_TONE,
        ),
        {
            "message": {
                "subject": "Re: Relay for Northwind Robotics",
                "body": "What does it cost for a team of twelve?",
            },
            "contact": _MAYA,
            "company": _NORTHWIND,
            "offer": _RELAY,
            "sender": _SAM,
            "answers": ["Relay costs 40 euros a month for each person who uses it."],
        },
        {"message": {"subject": "Re: Relay", "body": "No thanks."}},
    ),
    "classify_company": _shape(
        "A company, and the profile it may fit",
        _fields("company", company=_COMPANY, profile=_PROFILE),
        {"company": _NORTHWIND},
        {"company": {"name": "Mystery Ltd"}},
        {
            "company": {
                "name": "Casa Verde",
                "industry": "restaurants",
                "employees": 8,
                "description": "Family kitchen.",
            },
            "profile": {"industries": ["software", "SaaS"], "min_employees": 20, "max_employees": 2000},
        },
    ),
    "classify_reply": _shape(
        "An answer to an outreach mail, and the day it came",
        _fields("message", message=_MESSAGE, received_on=_DAY),
        {
            "message": {
                "from": "maya@northwind.example",
                "subject": "Automatic reply: Relay for Northwind Robotics",
                "body": "I am out of the office until 16 March 2026. Please contact Tomas Vik meanwhile.",
            },
            "received_on": "2026-03-03",
        },
        {"message": {"subject": "Re: Relay", "body": "Good timing. Can we talk on Thursday?"}},
        {
            "message": {
                "subject": "Re: Relay",
                "body": "I am the wrong one, please contact Jana Weber (jana@northwind.example).",
            }
        },
    ),
    "score_lead": _shape(
        "A company, a contact there, and signals seen lately",
        _fields("company", company=_COMPANY, contact=_CONTACT, profile=_PROFILE, signals=_LINES),
        {"company": _NORTHWIND, "contact": _MAYA, "signals": ["visited the pricing page twice this week"]},
        {"company": {"name": "Mystery Ltd"}, "contact": {"name": "Ada Byron", "role": "Senior Engineer"}},
    ),
    "classify_ai_intent": _shape(
        "What a company says about itself: a page, a post, a job advertisement",
        _fields("text", text=_TEXT, company=_COMPANY),
        {
            "text": "We run warehouses for retailers. Our team is exploring LLM agents for customer support this year.",
            "company": _NORTHWIND,
        },
        {"text": "We bake bread. Our ovens are from 1950."},
    ),
    "extract_stack": _shape(
        "A text that shows technologies, or a website to read",
        {**_fields(text=_TEXT, website=_LINE), "anyOf": [{"required": ["text"]}, {"required": ["website"]}]},
        {
            "text": "Backend engineer: you write services in Go and Python, on PostgreSQL and Kafka, deployed to AWS "
            "with Terraform. You are ready to go the extra mile."
        },
        {"website": "https://northwind.example"},
    ),
    "gh_lead_research": _shape(
        "The GitHub organisation of a company to research",
        _fields(
            "org",
            org={**_NAME, "description": "its name, or its address on GitHub"},
            max_repos={"type": "integer", "minimum": 1, "maximum": 20, "default": 8},
            max_people={"type": "integer", "minimum": 1, "maximum": 10, "default": 5},
        ),
        {"org": "pydantic"},
        {"org": "https://github.com/langchain-ai", "max_repos": 3, "max_people": 2},
    ),
    "lead_pipeline": _shape(
        "A company and a contact there, to take from research to a first e-mail",
        _fields(
            "company",
            "contact",
            "offer",
            company=_COMPANY,
            contact=_CONTACT,
            profile=_PROFILE,
            offer=_OFFER,
            sender=_SENDER,
        ),
        {
            "company": {**_NORTHWIND, "github": "northwind-robotics-demo"},
            "contact": _MAYA,
            "offer": _RELAY,
            "sender": _SAM,
        },
        {"company": {"name": "Mystery Ltd"}, "contact": {"name": "Ada Byron"}, "offer": {"product": "Relay"}},
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
