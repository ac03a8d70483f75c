"""What input shapes are made of: the fields that recur, and the people and companies of the examples."""

from __future__ import annotations

LINE: dict[str, object] = {"type": "string", "maxLength": 400}
TEXT: dict[str, object] = {"type": "string", "maxLength": 20_000}
LINES: dict[str, object] = {"type": "array", "items": TEXT, "maxItems": 50}
NAME: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": 200}
COUNT: dict[str, object] = {"type": "integer", "minimum": 0}


def record(required: tuple[str, ...] = (), **properties: dict[str, object]) -> dict[str, object]:
    """An object whose named fields are checked and which may carry further facts of the caller's own."""
    return {"type": "object", "properties": properties, "required": list(required)}


COMPANY = record(
    ("name",),
    name=NAME,
    description=TEXT,
    website=LINE,
    industry=LINE,
    country=LINE,
    employees={"type": ["integer", "string"], "description": "a number or a range such as 50-100"},
    github={**LINE, "description": "name or address of its GitHub organisation"},
    facts={**LINES, "description": "what is known about it, one fact a line, usable in a letter"},
)
CONTACT = record(name=NAME, role=LINE, email=LINE)
OFFER = record(
    ("product",),
    product=NAME,
    value={**LINE, "description": "what it does for the reader, starting with a verb"},
    proof={**LINE, "description": "one sentence that backs the value"},
    goal={**LINE, "description": "what the mail is to lead to, such as a 20 minute call"},
    ask={**LINE, "description": "the one question to close with, when it is not about the goal"},
)
SENDER = record(name=LINE, role=LINE, company=LINE)
PROFILE = record(
    description=TEXT,
    industries=LINES,
    countries=LINES,
    keywords=LINES,
    excluded={**LINES, "description": "words that rule a company out"},
    min_employees=COUNT,
    max_employees=COUNT,
)
MESSAGE = record(("body",), **{"from": LINE, "subject": TEXT, "body": TEXT})
DAY: dict[str, object] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"}
TONE: dict[str, object] = {"enum": ["friendly", "formal", "direct"], "default": "friendly"}

NORTHWIND: dict[str, object] = {
    "name": "Northwind Robotics",
    "industry": "logistics technology",
    "employees": 140,
    "country": "France",
    "description": "Warehouse automation platform with an API for retailers.",
    "facts": ["a second warehouse lab opened in Lyon in May", "four backend roles are open"],
}
MAYA: dict[str, object] = {
    "name": "Maya Laurent",
    "role": "Head of Operations",
    "email": "maya@northwind.example",
}
RELAY: dict[str, object] = {
    "product": "Relay",
    "value": "turns every new lead into a researched first e-mail within minutes",
    "proof": "Two logistics teams of your size book 30% more meetings with it.",
}
SAM: dict[str, object] = {"name": "Sam Okafor", "company": "Relay Labs"}


def shape(title: str, schema: dict[str, object], *examples: dict[str, object]) -> dict[str, object]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        **schema,
        "examples": list(examples),
    }


def fields(*required: str, **properties: dict[str, object]) -> dict[str, object]:
    """The fields of an input; any other is refused by name."""
    return {"properties": properties, "required": list(required), "additionalProperties": False}


def study(title: str, *examples: dict[str, object], **extra: dict[str, object]) -> dict[str, object]:
    """What every study of a company takes: the company, texts one has already, and fields of its own."""
    texts = {**LINES, "description": "pages, posts or notes about it; its website is read as well"}
    return shape(title, fields("company", company=COMPANY, texts=texts, **extra), *examples)
