"""Input shapes of the graphs of pool CLASSIFY."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    DAY,
    LINE,
    LINES,
    MAYA,
    MESSAGE,
    NORTHWIND,
    OFFER,
    PROFILE,
    RELAY,
    TEXT,
    fields,
    record,
    shape,
)

CLASSIFY_SHAPES: dict[str, dict[str, object]] = {
    "classify_company": shape(
        "A company, and the profile it may fit",
        fields("company", company=COMPANY, profile=PROFILE),
        {"company": NORTHWIND},
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
    "classify_reply": shape(
        "An answer to an outreach mail, and the day it came",
        fields("message", message=MESSAGE, received_on=DAY),
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
    "score_lead": shape(
        "A company, a contact there, and signals seen lately",
        fields("company", company=COMPANY, contact=CONTACT, profile=PROFILE, signals=LINES),
        {"company": NORTHWIND, "contact": MAYA, "signals": ["visited the pricing page twice this week"]},
        {"company": {"name": "Mystery Ltd"}, "contact": {"name": "Ada Byron", "role": "Senior Engineer"}},
    ),
    "classify_ai_intent": shape(
        "What a company says about itself: a page, a post, a job advertisement",
        fields("text", text=TEXT, company=COMPANY),
        {
            "text": "We run warehouses for retailers. Our team is exploring LLM agents for customer support this year.",
            "company": NORTHWIND,
        },
        {"text": "We bake bread. Our ovens are from 1950."},
    ),
    "extract_stack": shape(
        "A text that shows technologies, or a website to read",
        {**fields(text=TEXT, website=LINE), "anyOf": [{"required": ["text"]}, {"required": ["website"]}]},
        {
            "text": "Backend engineer: you write services in Go and Python, on PostgreSQL and Kafka, deployed to AWS "
            "with Terraform. You are ready to go the extra mile."
        },
        {"website": "https://northwind.example"},
    ),
    "classify_recruitment": shape(
        "What a company says about itself: a page, a profile, a job advertisement",
        fields("text", text=TEXT, company=COMPANY),
        {
            "text": "Harbour Talent finds software engineers and data scientists for start-ups in fintech and logistics. "
            "You pay when someone signs.",
            "company": {"name": "Harbour Talent"},
        },
        {"text": "We bake bread. Our ovens are from 1950."},
    ),
    "classify_recruitment_bulk": shape(
        "Many texts as classify_recruitment takes one",
        fields(
            "rows",
            rows={
                "type": "array",
                "items": record(("text",), id=LINE, name=LINE, text=TEXT),
                "minItems": 1,
                "maxItems": 5_000,
            },
            at_once={"type": "integer", "minimum": 1, "maximum": 16, "default": 8},
        ),
        {
            "rows": [
                {"id": "a", "text": "Executive search for banks and insurers since 1998."},
                {"id": "b", "text": "An applicant tracking system for small teams."},
                {"id": "c", "text": "We bake bread."},
            ]
        },
    ),
    "classify_paper": shape(
        "Title and abstract of a research paper",
        fields("title", title=LINE, abstract=TEXT),
        {
            "title": "Sparse routing for cheap language models",
            "abstract": "We propose a routing method that activates a tenth of the weights. It outperforms dense models "
            "of the same cost on four tasks. Code is available.",
        },
        {"title": "A survey of agents that use tools", "abstract": "We review 140 papers."},
    ),
    "score_contact": shape(
        "A person, where they work, and what they would buy",
        fields("contact", contact=CONTACT, company=COMPANY, offer=OFFER),
        {"contact": MAYA, "company": NORTHWIND, "offer": RELAY},
        {"contact": {"name": "Ada Byron", "role": "Executive Assistant to the CEO"}},
    ),
}
