"""Input shapes of the graphs of pool EMAIL."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    LINE,
    LINES,
    MAYA,
    MESSAGE,
    NAME,
    NORTHWIND,
    OFFER,
    RELAY,
    SAM,
    SENDER,
    TEXT,
    TONE,
    fields,
    record,
    shape,
)

EMAIL_SHAPES: dict[str, dict[str, object]] = {
    "email_compose": shape(
        "Who writes to whom, about what",
        fields(
            "contact",
            "company",
            "offer",
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            tone=TONE,
        ),
        {"contact": MAYA, "company": NORTHWIND, "offer": RELAY, "sender": SAM, "tone": "friendly"},
        {
            "contact": {"name": "Ada Byron"},
            "company": {"name": "Analytical Engines"},
            "offer": {"product": "Relay"},
        },
    ),
    "email_followup": shape(
        "What email_compose takes, and the mails already sent",
        fields(
            "contact",
            "company",
            "offer",
            "previous",
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            tone=TONE,
            previous={"type": "array", "items": MESSAGE, "minItems": 1, "maxItems": 20},
            last_one={"type": "boolean", "default": False},
        ),
        {
            "contact": MAYA,
            "company": NORTHWIND,
            "offer": RELAY,
            "sender": SAM,
            "previous": [
                {
                    "subject": "Relay for Northwind Robotics",
                    "body": "Hi Maya, I noticed that a second warehouse lab opened in Lyon in May. Is a call useful?",
                }
            ],
        },
    ),
    "email_reply": shape(
        "The answer we got, and what we know to answer it",
        fields(
            "message",
            message=MESSAGE,
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            answers={**LINES, "description": "facts the letter may state, such as a price"},
            tone=TONE,
        ),
        {
            "message": {
                "subject": "Re: Relay for Northwind Robotics",
                "body": "What does it cost for a team of twelve?",
            },
            "contact": MAYA,
            "company": NORTHWIND,
            "offer": RELAY,
            "sender": SAM,
            "answers": ["Relay costs 40 euros a month for each person who uses it."],
        },
        {"message": {"subject": "Re: Relay", "body": "No thanks."}},
    ),
    "email_outreach": shape(
        "Who writes to whom about what, and what happened there lately",
        fields(
            "contact",
            "company",
            "offer",
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            signals=LINES,
            tone=TONE,
        ),
        {
            "contact": MAYA,
            "company": NORTHWIND,
            "offer": RELAY,
            "sender": SAM,
            "signals": ["Northwind Robotics raised 12 million euros in March"],
        },
        {"contact": {"name": "Ada Byron"}, "company": {"name": "Mystery Ltd"}, "offer": {"product": "Relay"}},
    ),
    "email_opportunity": shape(
        "A published need, and what we could answer it with",
        fields(
            "opportunity",
            "offer",
            opportunity=record(("title", "text"), title=NAME, text=TEXT, url=LINE, deadline=LINE),
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            skills={**LINES, "description": "what the sender can show, one a line"},
            tone=TONE,
        ),
        {
            "opportunity": {
                "title": "Lead research for warehouse projects",
                "text": "We look for a partner who automates lead research. Required: GDPR compliance. "
                "Required: integration with HubSpot. Start in September.",
            },
            "contact": MAYA,
            "company": NORTHWIND,
            "offer": RELAY,
            "sender": SAM,
            "skills": ["lead research for logistics teams", "integration with HubSpot and Pipedrive"],
        },
        {
            "opportunity": {"title": "Forklift drivers", "text": "Three drivers with a licence wanted."},
            "offer": RELAY,
        },
    ),
    "topic_outreach": shape(
        "One topic, and the people it may concern",
        fields(
            "topic",
            "recipients",
            topic=record(("title",), title=NAME, points=LINES, url=LINE),
            recipients={
                "type": "array",
                "items": record(name=NAME, role=LINE, email=LINE, company=LINE, facts=LINES),
                "minItems": 1,
                "maxItems": 1_000,
            },
            sender=SENDER,
        ),
        {
            "topic": {
                "title": "Warehouse automation with agents",
                "points": [
                    "three teams show what their agents do in a warehouse",
                    "a recording is sent to all",
                ],
            },
            "recipients": [
                {
                    **MAYA,
                    "company": "Northwind Robotics",
                    "facts": ["a second warehouse lab opened in Lyon in May"],
                },
                {"name": "Elio Conti", "role": "Head Chef", "email": "elio@casaverde.example"},
            ],
            "sender": SAM,
        },
    ),
    "campaign_sequence": shape(
        "Who writes to whom about what, and the days between two mails",
        fields(
            "contact",
            "company",
            "offer",
            contact=CONTACT,
            company=COMPANY,
            offer=OFFER,
            sender=SENDER,
            tone=TONE,
            answers={**LINES, "description": "facts that answers may state, such as a price"},
            waits={
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 365},
                "maxItems": 10,
                "default": [3, 7, 14],
            },
        ),
        {"contact": MAYA, "company": NORTHWIND, "offer": RELAY, "sender": SAM, "waits": [3, 7]},
    ),
}
