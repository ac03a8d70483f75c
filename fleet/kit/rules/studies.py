"""Offline rules for studies of companies: sentences that show a topic, the verdict they allow, and what follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.kit.text import as_sentence, clean, listed, section, statements

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

MOST_FINDINGS, MOST_A_TOPIC = 16, 4
_MONEY = r"(?:[€$£]\s?\d[\d.,]*|\b\d[\d.,]*\s?(?:€|EUR|euros?|dollars?|USD|pounds|GBP)\b)"
_HEADCOUNT = (
    r"\b(?:\d[\d,.]* (?:people|employees|colleagues|staff|specialists|engineers|consultants)|team of \w+)"
)
_SECTOR = r"\b(?:logistics|retail\w*|health ?care|hospitals?|fin ?tech|banks?|banking|insur\w+|manufactur\w+|energy|education|legal|law firms?|software|SaaS|e-?commerce|pharma\w*|life sciences|construction|hospitality|telecom\w*|automotive|public sector|media)\b"


@dataclass(frozen=True)
class Reading:
    """Topic → phrase, and the verdicts from the most telling down: the first whose topics are enough wins."""

    topics: dict[str, str]
    #: verdict → (topics that speak for it, how many of them have to be found)
    verdicts: tuple[tuple[str, frozenset[str], int], ...]


def _any(verdict: str, *topics: str, least: int = 1) -> tuple[str, frozenset[str], int]:
    return verdict, frozenset(topics), least


READINGS: dict[str, Reading] = {
    "pricing": Reading(
        {
            "price": _MONEY,
            "trial": r"\b(?:free (?:trial|plan|tier|forever)|try it free|no credit card|money-back)",
            "custom": r"\b(?:contact (?:us|sales)|on request|custom (?:pricing|quote|plan)|talk to (?:us|sales)|request a quote|tailored)",
            "plan": r"\b(?:starter|basic|team|business|pro|professional|enterprise|premium|growth|free) (?:plan|edition|tier|package)|\bplans?\b",
        },
        (_any("public", "price"), _any("on_request", "custom")),
    ),
    "gtm": Reading(
        {
            "partners": r"\b(?:resellers?|through (?:our )?partners|partner (?:network|program\w*)|certified partners|implementation partners|distributors?)",
            "self_serve": r"\b(?:sign up|free (?:trial|plan|tier|account)|get started|self-serve|no credit card|install (?:it|the)|start for free|open[- ]source)",
            "sales_contact": r"\b(?:book (?:a )?(?:demo|call|meeting)|request (?:a )?(?:demo|quote)|talk to (?:our )?(?:sales|team|experts)|contact (?:us|sales)|our sales team|account executives?)",
            "community": r"\b(?:community|forum|discord|slack channel|meet-?ups?|newsletter|webinars?)\b",
            "proof": r"\b(?:case stud(?:y|ies)|trusted by|customers (?:include|such as|like)|testimonials?|used by)\b",
        },
        (_any("partner_led", "partners"), _any("product_led", "self_serve"), _any("sales_led", "sales_contact")),
    ),
    "positioning": Reading(
        {
            "alternative": r"\b(?:unlike|instead of|alternative to|replaces?|compared (?:to|with)|rather than|without (?:spreadsheets|consultants))\b",
            "category": r"\b(?:is|are|offers?|builds?|provides?) (?:an?|the) (?:\w+[ -]){0,4}(?:platform|software|tool|app|service|agency|marketplace|system|suite|API|company|database|engine)|\b(?:platform|software|system|suite|engine) (?:for|that)",
            "audience": r"\b(?:for|helps?|lets?|used by|built for|made for) (?:\w+ ){0,2}(?:teams|companies|retailers|developers|engineers|sellers|managers|hospitals|banks|start-?ups|scale-?ups|agencies|manufacturers|people|businesses|marketers|warehouses)",
            "difference": r"\b(?:only|first|fastest|unlike|within (?:minutes|hours|days)|no code|without|automatic\w*|in one place|end[- ]to[- ]end|real[- ]time)\b",
            "claim": r"\b(?:leading|best|trusted|award|number one|\d+ ?%|\d+x|times faster)\b",
        },
        (_any("sharp", "category", "audience", "difference", "alternative", least=3), _any("blurred", "category", "audience", "difference", "alternative", "claim")),
    ),
    "product_intel": Reading(
        {
            "integration": r"\b(?:integrat\w+|connects? (?:to|with)|plug-?ins?|connectors?|webhooks?|API|works with|sync\w*)\b",
            "service": r"\b(?:consult\w+|advis\w+|workshops?|implementation|we build (?:for|with)|our (?:experts|consultants)|projects? for|training)\b",
            "product": r"\b(?:platform|software|app|tool|product|suite|robots?|device|engine|database|dashboard)\b",
            "capability": r"\b(?:automat\w+|track\w*|plan\w*|predict\w*|analy[sz]\w+|manag\w+|search\w*|generat\w+|monitor\w*|detect\w*|schedul\w+|report\w*)\b",
            "audience": r"\bfor (?:\w+ ){0,2}(?:teams|companies|retailers|developers|managers|hospitals|banks|start-?ups|agencies|manufacturers|warehouses)|\bused by\b",
            "proof": r"\b(?:customers?|case stud(?:y|ies)|\d+ ?%|trusted by)\b",
        },
        (_any("product", "product"), _any("service", "service")),
    ),
    "company_enrichment": Reading(
        {
            "size": _HEADCOUNT,
            "founded": r"\b(?:founded|established|started|since) (?:in )?(?:19|20)\d\d",
            "location": r"\b(?:headquarter(?:s|ed)|based in|offices? in|located in|lab opened in|from our office)\b",
            "customers": r"\b(?:customers?|clients?|trusted by|used by|works? with|for (?:retailers|hospitals|banks))\b",
            "industry": _SECTOR,
            "product": r"\b(?:platform|software|service|product|tool|app|automation|robots?)\b",
        },
        (_any("enriched", "size", "founded", "location", "customers", "industry", "product", least=2), _any("thin", "size", "founded", "location", "customers", "industry", "product")),
    ),
    "company_problems": Reading(
        {
            "hiring": r"\b(?:hiring|open (?:roles?|positions?)|roles? (?:are|is) open|vacanc\w+|looking for (?:\w+ )?(?:engineers|developers|people|sales))",
            "manual_work": r"\b(?:manual\w*|by hand|spreadsheets?|copy and paste|paper forms?|re-?typ\w+|double entry)\b",
            "risk": r"\b(?:compliance|audit\w*|GDPR|security (?:review|incident)|breach|outages?|downtime|penalt\w+)\b",
            "cost": r"\b(?:expensive|costs? (?:rose|rising|too)|too much|budget cuts?|lay-?offs?|savings?)\b",
            "quality": r"\b(?:complain\w*|errors?|bugs?|delays?|late deliver\w+|backlog|churn|slow|returns)\b",
            "growth": r"\b(?:opened|opens|expand\w*|new (?:office|market|lab|plant|country)|doubl\w+|raised|series [a-e]|scal(?:e|ing))\b",
        },
        (_any("clear", "hiring", "manual_work", "risk", "cost", "quality", "growth"),),
    ),
    "deep_icp": Reading(
        {
            "industry": _SECTOR,
            "size": _HEADCOUNT,
            "role": r"\b(?:head of \w+|vp \w+|director of \w+|chief \w+ officer|c[etof]o\b|operations manager|team leads?|founders?)",
            "trigger": r"\b(?:after|when|since|because) (?:\w+ ){0,4}(?:opened|grew|raised|hired|migrat\w+|merged|doubl\w+|left|launched)",
            "pain": r"\b(?:manual\w*|spreadsheets?|slow|errors?|delays?|struggl\w+|too (?:much|many|long)|lost|missed)\b",
        },
        (_any("clear", "industry", "size", "role", "trigger", "pain", least=2), _any("mixed", "industry", "size", "role", "trigger", "pain")),
    ),
    "consultancies_enrich": Reading(
        {
            "client": r"\b(?:clients?|for (?:companies|banks|insurers|manufacturers|retailers)|case stud(?:y|ies)|worked (?:for|with))\b",
            "service": r"\b(?:consult\w+|advis\w+|advice|strategy|implementation|workshops?|audits?|we (?:design|build|deliver)|staff augmentation|agency)\b",
            "technology": r"\b(?:AI|machine learning|cloud|AWS|Azure|data (?:engineering|platforms?)|LLMs?|Salesforce|HubSpot|SAP|Python|Kubernetes)\b",
            "partner": r"\b(?:partner(?:s|ship)?|certified|reseller|alliance)\b",
            "sector": _SECTOR,
            "product": r"\b(?:our (?:product|platform|app|SaaS)|subscription|per seat|sign up|licen[cs]e)\b",
        },
        (_any("consultancy", "service"), _any("product_company", "product")),
    ),
}  # fmt: skip


def read(study: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Quote the sentences that show a topic; the verdict follows from which topics were found."""
    reading, found = READINGS[study], []
    lines = [
        line for text in facts.get("evidence") or [] for line in _lines(str(section(text).get("text") or ""))
    ]
    for topic, pattern in reading.topics.items():
        hits = [line for line in lines if re.search(pattern, line, re.IGNORECASE)][:MOST_A_TOPIC]
        found += [{"topic": topic, "quote": line} for line in hits]
    topics = {one["topic"] for one in found}
    verdict = next((name for name, wanted, least in reading.verdicts if len(topics & wanted) >= least), "")
    if not verdict and study == "company_problems" and len(lines) > 2:
        verdict = "none"
    missing = [topic.replace("_", " ") for topic in reading.topics if topic not in topics]
    return {
        "verdict": verdict or "needs_more",
        "findings": found[:MOST_FINDINGS],
        "look_for": "" if verdict else " ".join(missing[:4]),
    }


def _lines(text: str) -> list[str]:
    return [line.strip()[:400] for line in statements(text) if line.strip()]


def _quotes(facts: dict[str, Any], *topics: str) -> list[str]:
    found = [section(one) for one in facts.get("findings") or []]
    quotes = [clean(one.get("quote"), 200) for one in found if not topics or one.get("topic") in topics]
    return list(dict.fromkeys(quotes))


def _name(facts: dict[str, Any]) -> str:
    return clean(section(facts.get("company")).get("name"), 80) or "the company"


def list_plans(facts: dict[str, Any]) -> dict[str, Any]:
    """One plan for each amount: the word before it names it, the words after it say the period."""
    plans = []
    for quote in _quotes(facts, "price"):
        for hit in re.finditer(_MONEY, quote, re.IGNORECASE):
            before, after = quote[: hit.start()], quote[hit.end() : hit.end() + 40].lower()
            named = re.findall(
                r"\b(?:Starter|Basic|Team|Business|Pro|Professional|Enterprise|Premium|Growth|Free)\b", before
            )
            period = (
                "month"
                if "month" in after
                else "year"
                if re.search(r"year|annual", after)
                else "use"
                if re.search(r"\bper (?:call|run|credit|use)", after)
                else "unsaid"
            )
            plans.append(
                {"name": named[-1] if named else "unnamed", "price": hit[0].strip(), "period": period}
            )
    return {"plans": plans[:12]}


def prepare(facts: dict[str, Any]) -> dict[str, Any]:
    name = _name(facts)
    return {
        "questions": [
            f"What does {name} charge for, and per what?",
            "Which term is the price for?",
            "What is in it, and what costs extra?",
        ],
        "drivers": _quotes(facts, "custom", "plan")[:6],
    }


def _meet(who: str, how: str) -> Rule:
    def rule(facts: dict[str, Any]) -> dict[str, Any]:
        quotes = _quotes(facts)
        start = f" It says of itself: “{quotes[0].rstrip('.')}”." if quotes else ""
        return {"approach": (how.format(name=_name(facts)) + start)[:400], "first_contact": who}

    return rule


def state_it(facts: dict[str, Any]) -> dict[str, Any]:
    parts = [
        quotes[0]
        for topic in ("category", "audience", "difference", "alternative")
        if (quotes := _quotes(facts, topic))
    ]
    return {"statement": " ".join(as_sentence(part) for part in dict.fromkeys(parts))[:500] or _name(facts)}


def list_gaps(facts: dict[str, Any]) -> dict[str, Any]:
    asked = {
        "category": "It does not say what kind of product it is: what would a buyer look for?",
        "audience": "It does not say for whom it is: who should feel meant?",
        "difference": "It does not say what sets it apart: why this one?",
        "alternative": "It does not say what it replaces: what would a buyer stop paying for?",
    }
    return {"gaps": [gap for topic, gap in asked.items() if not _quotes(facts, topic)]}


def describe(facts: dict[str, Any]) -> dict[str, Any]:
    product = (_quotes(facts, "product") or _quotes(facts) or [_name(facts)])[0]
    return {
        "summary": product,
        "capabilities": _quotes(facts, "capability")[:8],
        "integrations": _quotes(facts, "integration")[:8],
    }


def describe_service(facts: dict[str, Any]) -> dict[str, Any]:
    service = (_quotes(facts, "service") or [_name(facts)])[0]
    return {"summary": service, "served": _quotes(facts, "audience", "proof")[:8]}


def fill(facts: dict[str, Any]) -> dict[str, Any]:
    """The words of the finding that say it; the summary is the sentence about the product."""

    def part(topic: str, pattern: str, *, but: str = "") -> str:
        quotes = [quote for quote in _quotes(facts, topic) if not but or quote not in _quotes(facts, but)]
        return next((hit[0] for quote in quotes if (hit := re.search(pattern, quote, re.IGNORECASE))), "")

    place = next(
        (
            hit[1]
            for quote in _quotes(facts, "location")
            if (hit := re.search(r"\bin ((?:[A-Z][\w-]+ ?){1,3})", quote))
        ),
        "",
    )
    summary = (_quotes(facts, "product") or _quotes(facts, "customers") or _quotes(facts) or [_name(facts)])[
        0
    ]
    return {
        "profile": {
            "industry": part("industry", _SECTOR, but="customers"),
            "employees": part("size", _HEADCOUNT),
            "location": place.strip(),
            "founded": part("founded", r"(?:19|20)\d\d"),
            "summary": summary,
        }
    }


def list_open(facts: dict[str, Any]) -> dict[str, Any]:
    known = {clean(section(one).get("topic")) for one in facts.get("findings") or []}
    where = {
        "industry": "its home page",
        "size": "its profile on professional networks",
        "location": "its imprint",
        "founded": "its about page",
        "customers": "its case studies",
    }
    return {
        "open_points": [f"{topic}: look at {place}" for topic, place in where.items() if topic not in known]
    }


def rank(facts: dict[str, Any]) -> dict[str, Any]:
    """Difficulties that share a word with the offer first; what is hard comes before what grows."""
    offer = {word[:6] for word in re.findall(r"[a-z]{4,}", str(facts.get("offer")).lower())}
    growing = set(_quotes(facts, "hiring", "growth"))
    quotes = sorted(
        _quotes(facts),
        key=lambda quote: (
            -len({word[:6] for word in re.findall(r"[a-z]{4,}", quote.lower())} & offer),
            quote in growing,
        ),
    )
    opening = f"I read this about {_name(facts)}: “{quotes[0].rstrip('.')}”" if quotes else ""
    return {"problems": quotes[:6], "opening": opening[:300]}


def write_profile(facts: dict[str, Any]) -> dict[str, Any]:
    def hits(topic: str, pattern: str) -> list[str]:
        found = [
            hit.lower()
            for quote in _quotes(facts, topic)
            for hit in re.findall(pattern, quote, re.IGNORECASE)
        ]
        return sorted(set(found), key=lambda one: (-found.count(one), one))

    industries = hits("industry", _SECTOR)
    roles = hits("role", READINGS["deep_icp"].topics["role"])
    pains = _quotes(facts, "pain", "trigger")
    deciding = listed([f"the {role}" for role in roles[:2]], last="or").replace("the vp ", "the VP ")
    parts = [
        f"Companies in {listed(industries[:3])}" if industries else "Companies like those of the texts",
        f" where {deciding} decides" if deciding else "",
        f". One of them: “{pains[0].rstrip('.')}”." if pains else ".",
    ]
    description = "".join(parts)[:400]
    return {
        "profile": {
            "description": description,
            "industries": industries[:8],
            "keywords": hits("pain", READINGS["deep_icp"].topics["pain"])[:10],
            "roles": roles[:6],
        }
    }


def split(facts: dict[str, Any]) -> dict[str, Any]:
    return {"segments": _quotes(facts)[:6]}


def weigh_partnership(facts: dict[str, Any]) -> dict[str, Any]:
    product = clean(section(facts.get("offer")).get("product"), 60) or "the software"
    return {
        "fits_with": _quotes(facts, "service", "technology")[:5],
        "proposal": f"{_name(facts)} brings the projects, {product} is the tool: propose one joint customer.",
    }


def _reader(study: str) -> Rule:
    return lambda facts: read(study, facts)


RULES: dict[str, Rule] = {
    **{f"{study}.judge": _reader(study) for study in READINGS},
    "pricing.list_plans": list_plans,
    "pricing.prepare": prepare,
    "gtm.meet_users": _meet(
        "someone who uses the product",
        "Buyers of {name} start by themselves: try the product first, then write about what you saw in it.",
    ),
    "gtm.meet_sales": _meet(
        "the head of sales", "{name} sells through a sales team: write to whoever leads it."
    ),
    "gtm.meet_partners": _meet(
        "the partner manager", "{name} sells through partners: propose one customer to win together."
    ),
    "positioning.state_it": state_it,
    "positioning.list_gaps": list_gaps,
    "product_intel.describe": describe,
    "product_intel.describe_service": describe_service,
    "company_enrichment.fill": fill,
    "company_enrichment.list_open": list_open,
    "company_problems.rank": rank,
    "deep_icp.write_profile": write_profile,
    "deep_icp.split": split,
    "consultancies_enrich.weigh_partnership": weigh_partnership,
}
