"""Offline rules for hunts: plain queries from what is asked for, and hits kept when they share words with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.rules.telling import telling
from fleet.kit.text import clean, clean_list, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_LISTS = re.compile(r"\b(?:top|best) \d+|\b(?:list of|directory|rankings?|companies to (?:watch|know)|jobs? in|vacancies)\b", re.IGNORECASE)  # fmt: skip
_DIRECTORIES = re.compile(r"(?:clutch\.co|g2\.com|crunchbase|wikipedia|linkedin|indeed|glassdoor|reddit|medium)\.?", re.IGNORECASE)  # fmt: skip
ENOUGH = 3


def plan_companies(facts: dict[str, Any]) -> dict[str, Any]:
    profile = section(facts.get("profile"))
    industries = clean_list(profile.get("industries") or []) or ["B2B software"]
    countries = clean_list(profile.get("countries") or []) or [""]
    keywords = clean_list(profile.get("keywords") or [])
    wanted = [
        f"{industry} {word} company {countries[0]}" for industry in industries for word in keywords or [""]
    ]
    wanted += [f"companies like {name}" for name in clean_list(facts.get("like") or [])]
    return _queries(wanted, facts)


def plan_consultancies(facts: dict[str, Any]) -> dict[str, Any]:
    field, region = clean(facts.get("field"), 120), clean(facts.get("region"), 80)
    kinds = ("consultancy", "consulting firm", "advisory", "implementation partner", "agency", "boutique")
    return _queries([f"{field} {kind} {region}" for kind in kinds], facts)


def plan_videos(facts: dict[str, Any]) -> dict[str, Any]:
    topic, industry = clean(facts.get("topic"), 120), clean(facts.get("industry"), 80)
    kinds = ("talk", "interview", "demo", "case study", "panel", "conference")
    return _queries([f"{topic} {industry} {kind}" for kind in kinds], facts)


def plan_boards(facts: dict[str, Any]) -> dict[str, Any]:
    """The name as it is; for the second time as one word, and with hyphens."""
    names = [clean(name, 100) for name in facts.get("companies") or []]
    spelled = [
        form
        for name in names
        for form in (
            name.replace(" ", ""),
            name.replace(" ", "-").lower(),
            name.split(" ")[0] if name else "",
        )
    ]
    return _queries(names if not facts.get("tried") else spelled, facts, most=20)


def _queries(wanted: list[str], facts: dict[str, Any], most: int = 4) -> dict[str, Any]:
    tried = {query.lower() for query in facts.get("tried") or []}
    plain = dict.fromkeys(" ".join(query.split()) for query in wanted)
    new = [query for query in plain if query and query.lower() not in tried]
    return {"queries": new[: min(most, 4)] or list(facts.get("tried") or ["-"])[:1]}


def screen(facts: dict[str, Any]) -> dict[str, Any]:
    """A hit fits when it names something that is asked for; lists and directories do not."""
    asked = {key: value for key, value in facts.items() if key != "hits"}
    wanted = telling(str(list(asked.values())))
    rated = []
    for hit in facts.get("hits") or []:
        line = f"{clean(hit.get('title'), 300)} {clean(hit.get('text'), 4_000)}"
        shared = wanted & telling(line)
        listed = _LISTS.search(str(hit.get("title"))) or _DIRECTORIES.search(str(hit.get("url")))
        if shared and not listed:
            rated.append((len(shared), hit["hit"], sorted(shared)))
    rated.sort(key=lambda one: (-one[0], one[1]))
    picks = [{"hit": hit, "why": f"names {', '.join(shared[:5])}"} for _count, hit, shared in rated]
    return {"picks": picks, "decision": "enough" if len(picks) >= ENOUGH else "widen"}


RULES: dict[str, Rule] = {
    "company_discovery.plan": plan_companies,
    "company_discovery.screen": screen,
    "consultancies_discovery.plan": plan_consultancies,
    "consultancies_discovery.screen": screen,
    "youtube_discovery.plan": plan_videos,
    "youtube_discovery.screen": screen,
    "ashby_discovery.plan": plan_boards,
    "ashby_discovery.screen": screen,
}
