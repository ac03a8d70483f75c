"""Input shapes of the graphs of pool EMAIL."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    LINES,
    MAYA,
    MESSAGE,
    NORTHWIND,
    OFFER,
    RELAY,
    SAM,
    SENDER,
    TONE,
    fields,
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
}
