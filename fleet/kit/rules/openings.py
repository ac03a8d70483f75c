"""Offline rules for mails that first decide: what to open with, whether to answer a need, whom a topic concerns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.rules.letters import DEFAULT_ASK, greeting, pitch, question, signature
from fleet.kit.rules.telling import telling
from fleet.kit.text import as_sentence, clean, clean_list, listed, section, statements

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_LATELY = re.compile(
    r"\b(?:opened|raised|launched|hired|hiring|acquired|joined|released|announced|moved|expand\w*|opens|open)\b",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"\b(?:manual(?:ly)?|slow|delay\w*|shortage|struggl\w*|backlog|churn|complain\w*|too (?:much|many|long)|by hand|outage)\b",
    re.IGNORECASE,
)
#: What does not make a clause after "that": `hiring three engineers`, `raised 12 million`.
_FRAGMENT = re.compile(r"[a-z]+(?:ing|ed)\b")
_LABEL = re.compile(r"^(?:required|requirements?|must[- ]haves?|needed|wanted)\s*:\s*", re.IGNORECASE)
_CLOSED = re.compile(
    r"\b(?:closed|already (?:filled|awarded)|no longer (?:open|accepting)|deadline has passed)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:require[ds]?|must|need(?:s|ed)?|look(?:ing)? for|want(?:ed|s)?|expect|should|experience (?:with|in))\b",
    re.IGNORECASE,
)


def choose(facts: dict[str, Any]) -> dict[str, Any]:
    """What happened lately comes before a difficulty, a difficulty before the role; without any of them, hold."""
    company = section(facts.get("company"))
    known = [*clean_list(facts.get("signals") or []), *clean_list(company.get("facts") or [])]
    for angle, pattern in (("signal", _LATELY), ("problem", _TROUBLE)):
        if fact := next((line for line in known if pattern.search(line)), ""):
            return {"angle": angle, "rests_on": fact, "why": f"the given facts name a {angle}"}
    role = clean(section(facts.get("contact")).get("role"), 120)
    if role:
        return {"angle": "role", "rests_on": "", "why": f"only the role is known: {role}"}
    return {"angle": "hold", "rests_on": "", "why": "no signal, no difficulty and no role is given"}


def outreach(facts: dict[str, Any]) -> dict[str, Any]:
    contact, company = section(facts.get("contact")), section(facts.get("company"))
    offer, name = section(facts.get("offer")), clean(company.get("name"), 80) or "your team"
    fact = clean(facts.get("rests_on")).rstrip(".")
    opening = {
        "signal": f"I read this about {name}: {fact}." if _FRAGMENT.match(fact) else f"I read that {fact}.",
        "problem": f"I read this about {name}: {fact}.",
    }.get(
        clean(facts.get("angle")),
        f"I write to you because you are {clean(contact.get('role'), 120)} at {name}.",
    )
    middle = [opening, pitch(offer), as_sentence(clean(offer.get("proof")))]
    body = _body(
        greeting(contact, clean(facts.get("tone"))), " ".join(filter(None, middle)), question(offer), facts
    )
    return {"subject": f"{clean(offer.get('product'), 60) or 'An idea'} for {name}"[:120], "body": body}


def weigh(facts: dict[str, Any]) -> dict[str, Any]:
    """Point by point: a sentence that asks for something is met when offer or skills share a telling word with it."""
    need = section(facts.get("opportunity"))
    points = _points(clean(need.get("text"), 20_000))
    ours = telling(str([facts.get("offer"), facts.get("skills")]))
    met = [point for point in points if telling(point) & ours]
    missing = [point for point in points if point not in met]
    if _CLOSED.search(clean(need.get("text"), 20_000)) or not met:
        decision = "skip"
    else:
        decision = "apply" if len(met) >= len(missing) else "ask"
    return {
        "decision": decision,
        "matches": [point[:200] for point in met[:6]],
        "open_points": [point[:200] for point in missing[:6]],
    }


def apply(facts: dict[str, Any]) -> dict[str, Any]:
    matches, missing = clean_list(facts.get("matches") or []), clean_list(facts.get("open_points") or [])
    offer = section(facts.get("offer"))
    met = listed([f"“{_point(point)}”" for point in matches[:3]])
    answer = [
        f"I read {_search(facts)}.",
        f"We can meet {'this point' if len(matches) == 1 else 'these points'}: {met}." if met else "",
        pitch(offer),
        f"One point is still open on our side: {_point(missing[0])}." if missing else "",
    ]
    body = _body(
        greeting(section(facts.get("contact"))),
        " ".join(filter(None, answer)),
        "What is the next step on your side?",
        facts,
    )
    return {"subject": f"Your search: {_title(facts)}"[:120], "body": body}


def inquire(facts: dict[str, Any]) -> dict[str, Any]:
    missing = clean_list(facts.get("open_points") or [])
    ask = f"How firm is this point: {_point(missing[0])}?" if missing else "How firm is the scope?"
    text = f"I read {_search(facts)}. Part of it is what we do, and one answer decides whether we can help."
    body = _body(greeting(section(facts.get("contact"))), text, ask, facts)
    return {"subject": f"A question on {_title(facts)}"[:120], "body": body}


def screen(facts: dict[str, Any]) -> dict[str, Any]:
    """A topic concerns someone whose role, company or facts share a telling word with it."""
    topic, reader = section(facts.get("topic")), section(facts.get("recipient"))
    subject = telling(str([topic.get("title"), topic.get("points")]))
    company, role = clean(reader.get("company"), 100), clean(reader.get("role"), 100)
    about = {
        fact: f"One thing about {company or 'your work'} made me think of you: {fact.rstrip('.')}."
        for fact in clean_list(reader.get("facts") or [])
    }
    about |= {
        company: f"Your work at {company} made me think of you.",
        role: f"Your work as {role} made me think of you.",
    }
    shared = next((line for line in about if telling(line) & subject), "")
    if not shared:
        return {"decision": "skip", "bridge": "", "why": "nothing known about them touches the topic"}
    return {"decision": "write", "bridge": about[shared][:300], "why": f"shares its subject: {shared}"[:200]}


def write(facts: dict[str, Any]) -> dict[str, Any]:
    topic, reader = section(facts.get("topic")), section(facts.get("recipient"))
    points = [as_sentence(point) for point in clean_list(topic.get("points") or [])[:3]]
    title = clean(topic.get("title"), 100)
    text = " ".join([clean(facts.get("bridge")), f"I am writing about “{title}”.", *points])
    return {
        "subject": title[:120],
        "body": _body(greeting(reader), text, "Would you like to have the details?", facts),
    }


def _body(hello: str, text: str, ask: str, facts: dict[str, Any]) -> str:
    return "\n\n".join(
        part for part in (hello, text, ask or DEFAULT_ASK, signature(section(facts.get("sender")))) if part
    )


def _search(facts: dict[str, Any]) -> str:
    name = clean(section(facts.get("company")).get("name"), 80)
    return f"the search of {name}, “{_title(facts)}”" if name else f"your search “{_title(facts)}”"


def _point(line: str) -> str:
    """A point as it is said in running text: without its label and its full stop."""
    return _LABEL.sub("", line).rstrip(".?")


def _title(facts: dict[str, Any]) -> str:
    return clean(section(facts.get("opportunity")).get("title"), 80)


def _points(text: str) -> list[str]:
    lines = [line.strip(" -*•") for line in statements(text)]
    asked = [line for line in lines if _ASKED.search(line)]
    return asked or lines


RULES: dict[str, Rule] = {
    "email_outreach.choose": choose,
    "email_outreach.draft": outreach,
    "email_opportunity.weigh": weigh,
    "email_opportunity.apply": apply,
    "email_opportunity.inquire": inquire,
    "topic_outreach.screen": screen,
    "topic_outreach.write": write,
}
