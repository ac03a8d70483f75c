"""Input shapes of the graphs of pool CORE."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    COUNT,
    LINE,
    LINES,
    MAYA,
    NORTHWIND,
    OFFER,
    PROFILE,
    RELAY,
    SAM,
    SENDER,
    TEXT,
    fields,
    record,
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
    "admin_chat": shape(
        "A question about the fleet, its traces, its routing or its campaigns",
        fields(
            "question",
            question={"type": "string", "minLength": 1, "maxLength": 1_000},
            earlier={
                "type": "array",
                "items": record(("question", "answer"), question=TEXT, answer=TEXT),
                "maxItems": 10,
                "description": "what was asked and answered before, oldest first",
            },
        ),
        {"question": "Is the fleet healthy?"},
        {"question": "Where does classify_reply run?"},
        {"question": "What failed lately?"},
        {"question": "Will it rain in Lyon tomorrow?"},
    ),
    "linkedin_post_score": shape(
        "A post, to see whether it is a reason to talk to its author",
        fields(
            "post",
            post=record(
                ("text",),
                text={**TEXT, "minLength": 1},
                author=record(name=LINE, headline=LINE, company=LINE),
                url=LINE,
                reactions=COUNT,
                comments=COUNT,
            ),
            offer=OFFER,
        ),
        {
            "post": {
                "text": "Three people on my team spend every Monday researching leads by hand. It takes us days until a first mail"
                " goes out. What tool do you use for this?",
                "author": {"name": "Maya Laurent", "headline": "Head of Operations at Northwind Robotics"},
                "reactions": 84,
                "comments": 31,
            },
            "offer": RELAY,
        },
        {
            "post": {
                "text": "Proud to share that our second warehouse lab in Lyon is open. Thank you to everyone who built it!",
                "author": {"name": "Ada Byron", "headline": "CEO at Mystery Ltd"},
                "reactions": 412,
            },
            "offer": RELAY,
        },
        {
            "post": {
                "text": "Only today: 30% off our course on cold calling. Link in the comments, limited seats!"
            }
        },
    ),
    "linkedin_profile_intake": shape(
        "A profile as fields or as the text that was copied, to become a contact and a company",
        fields(
            profile=record(
                name=LINE,
                headline=LINE,
                company=LINE,
                location=LINE,
                about=TEXT,
                email=LINE,
                url=LINE,
                experience={
                    "type": "array",
                    "items": record((), title=LINE, company=LINE, **{"from": LINE, "to": LINE}),
                    "maxItems": 50,
                },
            ),
            text=TEXT,
            offer=OFFER,
        ),
        {
            "profile": {
                "name": "Maya Laurent",
                "headline": "Head of Operations at Northwind Robotics",
                "location": "Lyon, France",
                "about": "I make warehouses boring. Write to maya@northwind.example.",
                "url": "https://www.linkedin.com/in/maya-laurent-demo",
            },
            "offer": RELAY,
        },
        {"text": "Tomas Vik\nPlant manager bei Rheinmotoren\nNeuss, Germany\n500+ connections"},
        {
            "text": "Northwind Robotics\nWarehouse automation\n12,000 followers\n140 employees\nFounded in 2016"
        },
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
