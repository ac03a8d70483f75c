"""Offline rules that judge companies against an ideal customer profile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.text import clean, clean_list, listed, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

FIT_FROM = 0.6
NOT_FIT_BELOW = 0.34
ENOUGH_CRITERIA = 2
#: Other words for a country, in lower case.
_COUNTRIES = {
    "united kingdom": ("uk", "great britain", "england", "scotland", "wales", "northern ireland"),
    "united states": ("us", "usa", "u.s.", "america", "united states of america"),
    "germany": ("deutschland",),
    "netherlands": ("the netherlands", "holland", "nederland"),
    "switzerland": ("schweiz", "suisse", "svizzera"),
    "austria": ("österreich",),
    "spain": ("españa",),
    "italy": ("italia",),
    "belgium": ("belgique", "belgië"),
}
_COUNTRY_OF = {word: country for country, words in _COUNTRIES.items() for word in words}


def judge(facts: dict[str, Any]) -> dict[str, Any]:
    """Score the criteria that can be decided; too few of them means more evidence is needed."""
    company, profile = section(facts.get("company")), section(facts.get("profile"))
    story = _story(company)
    excluded = [word for word in clean_list(profile.get("excluded")) if _mentions(story, word)]
    if excluded:
        return _verdict("not_fit", 0.9, [f"excluded by the profile: {listed(excluded)}"])
    decided = [result for result in _criteria(company, profile, story) if result]
    met = [reason for ok, reason in decided if ok]
    unmet = [reason for ok, reason in decided if not ok]
    share = len(met) / len(decided) if decided else 0.0
    if len(decided) < ENOUGH_CRITERIA:
        known = f"only {len(decided)} of the profile's criteria can be decided from what is known"
        return _verdict("needs_evidence", 0.4, [*met, *unmet, known])
    if share >= FIT_FROM:
        return _verdict("fit", 0.45 + share / 2, [*met, *unmet])
    if share < NOT_FIT_BELOW:
        return _verdict("not_fit", 0.95 - share / 2, [*unmet, *met])
    return _verdict("needs_evidence", 0.5, [*met, *unmet])


def approach(facts: dict[str, Any]) -> dict[str, Any]:
    """An angle for a company that fits, from its own facts."""
    company = section(facts.get("company"))
    name = clean(company.get("name"), 80) or "the company"
    noticed = clean_list(company.get("facts")) or clean_list(company.get("description"))
    angle = (
        f"Start from what {name} is doing: {noticed[0]}"
        if noticed
        else f"Start from why {name} fits the profile"
    )
    return {"angle": angle[:400], "next_step": "find the decision maker and write a first e-mail"}


def questions(facts: dict[str, Any]) -> dict[str, Any]:
    """What to find out before deciding, one question per open criterion."""
    company, profile = section(facts.get("company")), section(facts.get("profile"))
    name, story = clean(company.get("name"), 80) or "the company", _story(company)
    open_points = []
    if not story:
        open_points.append(f"What does {name} do, in its own words?")
    if clean_list(profile.get("industries")) and not clean(company.get("industry")):
        open_points.append(f"Which industry is {name} in?")
    if _bounds(profile) and _employees(company) is None:
        open_points.append(f"How many people work at {name}?")
    if clean_list(profile.get("countries")) and not clean(company.get("country")):
        open_points.append(f"In which country is {name}?")
    if missing := [word for word in clean_list(profile.get("keywords")) if not _mentions(story, word)]:
        open_points.append(f"Is there evidence of {listed(missing[:3], last='or')} at {name}?")
    return {"questions": open_points[:6] or [f"What would decide whether {name} fits?"]}


def _criteria(company: dict[str, Any], profile: dict[str, Any], story: str) -> list[tuple[bool, str] | None]:
    """One (met, reason) per criterion of the profile; None where nothing is asked or known."""
    return [
        _membership("industry", clean(company.get("industry")), clean_list(profile.get("industries"))),
        _country(clean(company.get("country")), clean_list(profile.get("countries"))),
        _size(company, profile),
        _keywords(story, clean_list(profile.get("keywords"))),
    ]


def _membership(what: str, value: str, wanted: list[str]) -> tuple[bool, str] | None:
    if not wanted or not value:
        return None
    met = any(_mentions(value.lower(), item) or _mentions(item.lower(), value) for item in wanted)
    return met, f"{what} is {value}" if met else f"{what} is {value}, not {listed(wanted, last='or')}"


def _country(value: str, wanted: list[str]) -> tuple[bool, str] | None:
    """As any membership, whatever the country is called."""
    decided = _membership("country", value, wanted)
    if decided and not decided[0] and _canonical(value) in map(_canonical, wanted):
        return True, f"country is {value}"
    return decided


def _canonical(country: str) -> str:
    return _COUNTRY_OF.get(country.lower(), country.lower())


def _size(company: dict[str, Any], profile: dict[str, Any]) -> tuple[bool, str] | None:
    bounds, size = _bounds(profile), _employees(company)
    if bounds is None or size is None:
        return None
    low, high = bounds
    met = low <= size <= high
    return met, f"{size} people" + ("" if met else f", outside {low} to {high}")


def _keywords(story: str, wanted: list[str]) -> tuple[bool, str] | None:
    if not wanted or not story:
        return None
    found = [word for word in wanted if _mentions(story, word)]
    return (
        (True, f"mentions {listed(found[:4])}")
        if found
        else (False, f"mentions none of {listed(wanted[:4], last='or')}")
    )


def _bounds(profile: dict[str, Any]) -> tuple[int, int] | None:
    low, high = profile.get("min_employees"), profile.get("max_employees")
    if low is None and high is None:
        return None
    return int(low or 0), int(high or 10**9)


def _employees(company: dict[str, Any]) -> int | None:
    """A head count given as a number or as text such as `50-100` (its middle)."""
    value = company.get("employees")
    if isinstance(value, bool) or value is None:
        return None
    numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", str(value))][:2]
    return sum(numbers) // len(numbers) if numbers else None


def _story(company: dict[str, Any]) -> str:
    parts = [clean(company.get("description"), 4000), clean(company.get("website_text"), 8000)]
    return " ".join([*parts, *clean_list(company.get("facts"))]).strip().lower()


def _mentions(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.lower())}s?(?!\w)", text) is not None


def _verdict(verdict: str, confidence: float, reasons: list[str]) -> dict[str, Any]:
    return {"verdict": verdict, "confidence": round(confidence, 2), "reasons": [r[:400] for r in reasons[:8]]}


RULES: dict[str, Rule] = {
    "classify_company.judge": judge,
    "classify_company.approach": approach,
    "classify_company.questions": questions,
}
