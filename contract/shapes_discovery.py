"""Input shapes of the graphs of pool DISCOVERY."""

from __future__ import annotations

from contract.shape_parts import (
    COMPANY,
    CONTACT,
    LINE,
    LINES,
    MAYA,
    NAME,
    NORTHWIND,
    OFFER,
    PROFILE,
    RELAY,
    fields,
    record,
    shape,
    study,
)

DISCOVERY_SHAPES: dict[str, dict[str, object]] = {
    "gh_lead_research": shape(
        "The GitHub organisation of a company to research",
        fields(
            "org",
            org={**NAME, "description": "its name, or its address on GitHub"},
            max_repos={"type": "integer", "minimum": 1, "maximum": 20, "default": 8},
            max_people={"type": "integer", "minimum": 1, "maximum": 10, "default": 5},
        ),
        {"org": "pydantic"},
        {"org": "https://github.com/langchain-ai", "max_repos": 3, "max_people": 2},
    ),
    "company_enrichment": study(
        "A company to learn more about",
        {
            "company": {"name": "Northwind Robotics"},
            "texts": [
                "Northwind Robotics was founded in 2016 and is headquartered in Lyon. 140 people build its platform for "
                "warehouse automation. Retailers in nine countries are customers."
            ],
        },
        {"company": {"name": "Mystery Ltd"}},
    ),
    "company_problems": study(
        "A company, and the offer its difficulties may be matched with",
        {
            "company": NORTHWIND,
            "texts": [
                "Our pickers still plan their routes by hand in spreadsheets. Delays in peak season are our worst problem."
            ],
            "offer": RELAY,
        },
        {"company": {"name": "Mystery Ltd"}},
        offer=OFFER,
    ),
    "product_intel": study(
        "A company whose product is to be understood",
        {
            "company": NORTHWIND,
            "texts": ["The platform plans picks and tracks every tote. It connects to SAP and Shopify."],
        },
        {"company": {"name": "Mystery Ltd"}},
    ),
    "pricing": study(
        "A company whose prices are to be found",
        {
            "company": {"name": "Northwind Robotics"},
            "texts": [
                "Starter costs €49 per month. Business costs €199 per month. For more than ten warehouses contact sales."
            ],
        },
        {"company": {"name": "Mystery Ltd"}},
    ),
    "gtm": study(
        "A company whose way to market is to be read",
        {
            "company": {"name": "Northwind Robotics"},
            "texts": ["Book a demo with our sales team. Trusted by 40 retailers. Read the case studies."],
        },
        {"company": {"name": "Mystery Ltd"}},
    ),
    "positioning": study(
        "A company whose positioning is to be read",
        {
            "company": {"name": "Northwind Robotics"},
            "texts": [
                "Northwind is a platform for warehouse automation. It helps retailers pick orders within minutes. Unlike "
                "conveyor systems it needs no building work."
            ],
        },
        {"company": {"name": "Mystery Ltd"}},
    ),
    "deep_icp": study(
        "A company, its product, and texts about the customers it has",
        {
            "company": {"name": "Relay Labs"},
            "product": "Relay",
            "texts": [
                "Northwind is a logistics company with 140 employees. The head of sales bought Relay after the team "
                "doubled and leads were lost in spreadsheets.",
                "Fjord Freight, logistics, 90 people. Their VP Sales was tired of manual research.",
            ],
        },
        product=NAME,
    ),
    "consultancies_enrich": study(
        "A consultancy, and the offer it may sell beside",
        {
            "company": {"name": "Tidewater Advisory"},
            "texts": [
                "Tidewater advises banks and retailers on data strategy. We build data platforms on AWS with our clients. "
                "We are a certified partner of Salesforce."
            ],
            "offer": RELAY,
        },
        {"company": {"name": "Mystery Ltd"}},
        offer=OFFER,
    ),
    "company_discovery": shape(
        "The profile of the companies looked for",
        fields("profile", profile=PROFILE, like={**LINES, "description": "names of companies that fit"}),
        {
            "profile": {
                "industries": ["warehouse automation"],
                "countries": ["France"],
                "keywords": ["robots", "API"],
            }
        },
        {"profile": {"industries": ["freight software"]}, "like": ["Northwind Robotics"]},
    ),
    "consultancies_discovery": shape(
        "A field, and where",
        fields("field", field=NAME, region=LINE),
        {"field": "data engineering for retailers", "region": "Netherlands"},
    ),
    "youtube_discovery": shape(
        "A topic that people talk about",
        fields("topic", topic=NAME, industry=LINE),
        {"topic": "LLM agents in warehouses", "industry": "logistics"},
    ),
    "ashby_discovery": shape(
        "Companies, and what they may be hiring for",
        fields(
            "companies",
            companies={"type": "array", "items": NAME, "minItems": 1, "maxItems": 4},
            keywords={**LINES, "description": "words in the titles of the jobs looked for"},
        ),
        {"companies": ["Northwind Robotics"], "keywords": ["machine learning", "data engineer"]},
    ),
    "contact_discovery": study(
        "A company whose people are to be found",
        {
            "company": {"name": "Northwind Robotics"},
            "texts": [
                "Our team: Maya Laurent, Head of Operations. Tomas Vik, Director of Engineering. Write to "
                "maya.laurent@northwind.example."
            ],
            "roles": ["Head of Operations"],
        },
        {"company": {"name": "Mystery Ltd"}, "roles": ["CEO"]},
        roles={**LINES, "description": "the roles looked for"},
    ),
    "contact_enrich": shape(
        "A person to learn more about",
        fields(
            "contact",
            contact=record(("name",), name=NAME, role=LINE, email=LINE, github=LINE),
            company=COMPANY,
            texts=LINES,
        ),
        {
            "contact": MAYA,
            "company": {"name": "Northwind Robotics", "website": "northwind.example"},
            "texts": ["Maya Laurent of Northwind Robotics spoke in Lyon about picking without paper."],
        },
        {"contact": {"name": "Ada Byron"}},
    ),
    "find_decision_maker": shape(
        "The people known at a company, and what they would decide about",
        fields(
            "people",
            company=COMPANY,
            people={"type": "array", "items": CONTACT, "maxItems": 50},
            offer=OFFER,
        ),
        {
            "company": NORTHWIND,
            "people": [{"name": "Tomas Vik", "role": "Warehouse Planner"}, MAYA],
            "offer": RELAY,
        },
        {"company": {"name": "Mystery Ltd"}, "people": []},
    ),
    "ashby_ingest": shape(
        "A job board on Ashby",
        fields(
            "board",
            board={**NAME, "description": "its name, or its address on jobs.ashbyhq.com"},
            interest={**LINES, "description": "words in the titles of the jobs one is interested in"},
        ),
        {"board": "northwind-robotics-demo", "interest": ["data", "machine learning"]},
    ),
    "gh_patterns": shape(
        "The GitHub organisation whose way of building is to be read",
        fields("org", org={**NAME, "description": "its name, or its address on GitHub"}),
        {"org": "pydantic"},
    ),
    "competitors_team": shape(
        "A company, and the competitors that are known or texts that name them",
        fields(
            "company",
            company=COMPANY,
            competitors={"type": "array", "items": COMPANY, "maxItems": 12},
            texts=LINES,
        ),
        {
            "company": NORTHWIND,
            "competitors": [
                {"name": "Pickwise", "description": "Warehouse automation software trusted by 30 retailers."},
                {"name": "Fjord Freight", "description": "Trucks between Oslo and Hamburg."},
            ],
        },
        {"company": NORTHWIND, "texts": ["An alternative to Pickwise for small warehouses."]},
    ),
}
