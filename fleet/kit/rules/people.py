"""Offline rules that read people out of texts: names beside roles, who decides, and whether a text is about someone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.addresses import addresses_in
from fleet.kit.names import names_company
from fleet.kit.rules.labels import lead_on, part
from fleet.kit.rules.letters import meaning
from fleet.kit.text import clean, clean_list, section, statements

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

# Bounded, for a page may be one long word: a name of any length made that the work of minutes.
_NAME = r"\b[A-ZÀ-Þ][\w'-]{1,40}(?: (?:van|de|von|der|di|la))?(?: [A-ZÀ-Þ][\w'-]{1,40}){1,2}"
_ROLE = r"\b(?:Chief [\w ]{2,30}? Officer|C[ETORMF]O|VP (?:of )?[A-Z]\w{1,40}|Vice President(?: of)? [A-Z]\w{1,40}|Head of [A-Z]\w{1,40}(?: [A-Z]\w{1,40})?|Director of [A-Z]\w{1,40}|Managing Director|Co-?[Ff]ounder|Founder|Owner|President|Partner|[A-Z]\w{1,40} (?:Manager|Lead|Engineer|Director|Architect))"
_PAIR = (
    re.compile(rf"(?P<name>{_NAME})\s*(?:,|–|-|\||\(|:|\bis (?:our|the))\s*(?:our |the )?(?P<role>{_ROLE})"),
    re.compile(rf"(?:[Oo]ur |[Tt]he )?(?P<role>{_ROLE})[,:]?\s+(?P<name>{_NAME})"),
)
_DECIDES_FIRST = ("decision_maker", "influencer")


def read_people(facts: dict[str, Any]) -> dict[str, Any]:
    """A name beside a role is a person; an address is theirs when it holds their last name."""
    text = "\n".join(str(section(one).get("text") or "") for one in facts.get("evidence") or [])[:60_000]
    addresses = addresses_in(text)
    people: dict[str, dict[str, Any]] = {}
    for pattern in _PAIR:
        for hit in pattern.finditer(text):
            name = hit["name"].strip()
            last = name.split()[-1].lower()
            mail = next((one for one in addresses if last in one.partition("@")[0].lower()), "")
            people.setdefault(name, {"name": name, "role": hit["role"], "email": mail})
    wanted = " ".join(clean_list(facts.get("roles") or [])).lower().split()
    roles = " ".join(one["role"] for one in people.values()).lower()
    enough = bool(people) and (not wanted or any(word in roles for word in wanted if len(word) > 2))
    return {"people": list(people.values())[:40], "decision": "enough" if enough else "look_further"}


def match(facts: dict[str, Any]) -> dict[str, Any]:
    """The full name and one more thing have to stand in a text."""
    contact, company = section(facts.get("contact")), section(facts.get("company"))
    name, employer = clean(contact.get("name"), 120).lower(), clean(company.get("name"), 200)
    others = [clean(one, 200).lower() for one in (contact.get("role"), contact.get("email"))]
    about, named = [], 0
    for one in facts.get("evidence") or []:
        text = str(section(one).get("text") or "").lower()
        if name and name in text:
            named += 1
            if any(other and other in text for other in others) or names_company(text, employer):
                about.append(str(one.get("id")))
    identity = "same" if about else "namesake" if named and (employer or any(others)) else "unclear"
    return {"identity": identity, "about": about[:20]}


def profile(facts: dict[str, Any]) -> dict[str, Any]:
    texts = [str(section(one).get("text") or "") for one in facts.get("evidence") or []]
    lines = [line.strip() for text in texts for line in statements(text)]
    roles = [hit[0] for line in lines for hit in re.finditer(_ROLE, line)]
    places = [
        hit[1]
        for line in lines
        if (hit := re.search(r"\b(?:based|lives|office|located) in ((?:[A-Z][\w-]+ ?){1,3})", line))
    ]
    does = r"\b(?:spoke|speaks|talks?|writes?|wrote|builds?|built|leads?|led|runs?|works? on|interested|maintains?|blogs?)\b"
    interests = [line[:300] for line in lines if re.search(does, line, re.IGNORECASE)]
    return {
        "role": roles[0] if roles else "",
        "place": places[0].strip() if places else "",
        "interests": interests[:6],
    }


def pick(facts: dict[str, Any]) -> dict[str, Any]:
    """The title decides; among equals the one whose field is nearer to the offer, then the first given."""
    rated = []
    for one in facts.get("people") or []:
        found = part({"contact": one, "offer": facts.get("offer")})
        if found["label"] in _DECIDES_FIRST:
            rated.append(
                (
                    _DECIDES_FIRST.index(found["label"]),
                    -found["relevance"],
                    one["number"],
                    clean(one.get("role"), 200),
                )
            )
    if not rated:
        return {"verdict": "nobody", "person": 0, "confidence": 0.5, "why": "no given role has a part in it"}
    rank, _relevance, number, role = min(rated)
    return {
        "verdict": "found" if rank == 0 else "champion",
        "person": number,
        "confidence": 0.7,
        "why": f"the title is {role}",
    }


def route(facts: dict[str, Any]) -> dict[str, Any]:
    offer, person = section(facts.get("offer")), section(facts.get("person"))
    others = [
        clean(one.get("name"), 120)
        for one in facts.get("people") or []
        if one.get("name") != person.get("name")
    ]
    return {
        "talk_about": meaning(clean(person.get("role"), 80), offer),
        "others": [name for name in others if name][:5],
    }


def seek(facts: dict[str, Any]) -> dict[str, Any]:
    """Small companies are decided at the top."""
    size = re.search(r"\d+", str(section(facts.get("company")).get("employees") or ""))
    small = size is not None and int(size[0]) < 50
    name = clean(section(facts.get("company")).get("name"), 80) or "the company"
    roles = (
        ["Founder", "Managing Director"]
        if small
        else ["Head of Sales", "VP of Operations", "Chief Revenue Officer"]
    )
    return {
        "roles": roles,
        "where": [f"the team page of {name}", "its profile on professional networks", "its imprint"],
    }


RULES: dict[str, Rule] = {
    "contact_discovery.read": read_people,
    "contact_enrich.match": match,
    "contact_enrich.profile": profile,
    "find_decision_maker.pick": pick,
    "find_decision_maker.route": route,
    "find_decision_maker.lead_through": lead_on,
    "find_decision_maker.seek": seek,
}
