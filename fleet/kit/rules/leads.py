"""Offline rules that rate a lead: fit by the profile, authority by the role, timing and reachability by what is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.rules.companies import judge
from fleet.kit.text import clean, clean_list, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_DECIDES = re.compile(
    r"\b(?:ceo|cto|coo|cro|cmo|cfo|cio|chief|founder|owner|partner|president|vp|vice president|head|director|gesch.ftsf.hrer(?:in)?|g.rant|directeur|directrice)\b",
    re.IGNORECASE,
)
_CHAMPIONS = re.compile(r"\b(?:lead|manager|principal|staff|senior|architect)\b", re.IGNORECASE)
#: Roles that neither decide nor carry a decision; "office manager" and "assistant to the CEO" are among them.
_STAFF = re.compile(
    r"\b(?:intern|student|trainee|apprentice|assistant|secretary|receptionist|office manager)\b",
    re.IGNORECASE,
)
_URGENT = re.compile(
    r"\b(?:hir(?:ing|es?)|open roles?|roles? (?:is|are) open|rais(?:ed|ing)|funding|series [a-e]|launch|opened|migrat|replac"
    r"|new (?:ceo|cto|cro|head|office)|expan|visited|replied|requested|asked|demo|trial)",
    re.IGNORECASE,
)
_SHARED = re.compile(r"^(?:info|contact|hello|sales|office|support|admin|noreply|no-reply)@", re.IGNORECASE)
_FIT = {"fit": 1.0, "needs_evidence": 0.4, "not_fit": 0.0}


def rate(facts: dict[str, Any]) -> dict[str, Any]:
    company, contact = section(facts.get("company")), section(facts.get("contact"))
    verdict = judge({"company": company, "profile": section(facts.get("profile"))})
    role, address = clean(contact.get("role"), 120), clean(contact.get("email"), 320)
    urgent = _urgent(facts)
    fit = _FIT[verdict["verdict"]]
    authority = _authority(role)
    timing = min(1.0, 0.5 * len(urgent))
    reachability = 0.0 if "@" not in address else 0.3 if _SHARED.match(address) else 1.0
    reasons = [
        f"fit: {verdict['reasons'][0]}",
        f"authority: {role or 'no role known'}",
        f"timing: {urgent[0] if urgent else 'no signal'}",
        f"reachability: {'no address' if not reachability else 'a shared address' if reachability < 1 else 'a personal address'}",
    ]
    parts = {"fit": fit, "authority": authority, "timing": timing, "reachability": reachability}
    return {**parts, "reasons": [reason[:400] for reason in reasons]}


def _authority(role: str) -> float:
    if not role or _STAFF.search(role):
        return 0.0
    return 1.0 if _DECIDES.search(role) else 0.5 if _CHAMPIONS.search(role) else 0.2


def next_step(facts: dict[str, Any]) -> dict[str, Any]:
    name = clean(section(facts.get("contact")).get("name"), 80) or "the contact"
    urgent = _urgent(facts)
    return {
        "next_step": f"write to {name} today and offer a call this week",
        # Nobody likes to read that they were watched.
        "open_with": next((line for line in urgent if "visited" not in line.lower()), ""),
    }


def gaps(facts: dict[str, Any]) -> dict[str, Any]:
    parts = section(facts.get("parts"))
    advice = {
        "fit": "find out what decides the fit: industry, size and what they build",
        "authority": "find who decides, or a champion near them",
        "timing": "wait for a signal: a role opened, a launch, a visit, funding",
        "reachability": "find a personal e-mail address",
    }
    weak = sorted((part for part in advice if parts.get(part, 0) < 1), key=lambda part: parts.get(part, 0))
    return {"gaps": [advice[part] for part in weak]}


def _urgent(facts: dict[str, Any]) -> list[str]:
    company = section(facts.get("company"))
    known = [*clean_list(facts.get("signals") or []), *clean_list(company.get("facts") or [])]
    return [line for line in known if _URGENT.search(line)]


RULES: dict[str, Rule] = {"score_lead.rate": rate, "score_lead.next": next_step, "score_lead.gaps": gaps}
