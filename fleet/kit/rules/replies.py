"""Offline rules that read answers to outreach: what kind of answer it is, until when someone is away, who to ask."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from fleet.kit.addresses import addresses_in
from fleet.kit.rules.reply_phrases import PHRASES
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_QUOTED = re.compile(
    r"^\s*(?:>|On .{5,80} wrote:|-{3,} ?Original|Von: |From: .+@|Am .{5,60} schrieb|Le .{5,60} a écrit)"
)
_PATTERNS = [(kind, re.compile("|".join(phrases), re.IGNORECASE)) for kind, phrases in PHRASES.items()]
_MACHINE = re.compile(
    r"mailer-daemon|postmaster|delivery (?:status|failure|failed|incomplete|delayed)|undeliver|returned mail|failure notice",
    re.IGNORECASE,
)
#: What a person's own automatic answer says about an address; the rest only a mail server can know.
_GONE = re.compile(r"no longer|left the |(?:address|mailbox|account|inbox) ", re.IGNORECASE)
_MACHINE_KINDS = ("hard_bounce", "soft_bounce")

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_REFERRED = re.compile(
    r"(?:contact|speak (?:to|with)|talk to|reach out to|write to|copying|cc'?ing|looping in|adding|colleague|person (?:is|would be)|forward(?:ed|ing) (?:this|your \w+|it) to)[,:]?\s+(?:(?:my|our) colleague,?\s+)?([A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
)


def classify(facts: dict[str, Any]) -> dict[str, Any]:
    """The kind of an answer, from its own words (not the quoted mail) and, for bounces, who sent it."""
    message = section(facts.get("message"))
    subject, sender = clean(message.get("subject")), clean(message.get("from"))
    body = own_words(str(message.get("body") or ""))
    machine = bool(_MACHINE.search(f"{sender} {subject}"))
    text = f"{subject}\n{body}" if machine or not subject.lower().startswith("re:") else body
    hits = {kind: found[0] for kind, pattern in _PATTERNS if (found := pattern.search(text))}
    if machine:
        kind = next((kind for kind in _MACHINE_KINDS if kind in hits), "hard_bounce")
        return _label(kind, 0.95, f"a mail server says: {hits.get(kind, subject)}")
    for kind in PHRASES:
        if kind in hits and (
            kind not in _MACHINE_KINDS or (kind == "hard_bounce" and _GONE.search(hits[kind]))
        ):
            return _label(kind, 0.8 if len(hits) == 1 else 0.65, f"says “{hits[kind].strip()}”")
    if addresses := addresses_in(body):
        return _label("referral", 0.45, f"names {addresses[0]} and says nothing else that is known")
    return _label("question", 0.3, "no known phrase: a person should read it")


def return_date(facts: dict[str, Any]) -> dict[str, Any]:
    """The day someone is back, as ISO date; "" when the text names none. A day without a year is the next such day."""
    message = section(facts.get("message"))
    text = own_words(str(message.get("body") or "")) + " " + clean(message.get("subject"))
    today = _today(facts)
    days = [day for day in _dates(text, today) if day >= today]
    return {"return_on": max(days).isoformat() if days and max(days) - today < timedelta(days=730) else ""}


def referral(facts: dict[str, Any]) -> dict[str, Any]:
    """Who to ask instead: only a name or an address that stands in the text."""
    body = own_words(str(section(facts.get("message")).get("body") or ""))
    name = _REFERRED.search(body)
    return {"name": name[1] if name else "", "email": next(iter(addresses_in(body)), "")}


def read(facts: dict[str, Any]) -> dict[str, Any]:
    """What an answer asks of us: a letter, silence, or a person."""
    kind = classify(facts)["label"]
    body = own_words(str(section(facts.get("message")).get("body") or "")).lower()
    if kind in ("unsubscribe", "not_interested", "hard_bounce", "soft_bounce", "out_of_office"):
        return {
            "handling": "silence",
            "intent": kind,
            "reason": f"the answer reads as {kind.replace('_', ' ')}",
        }
    if found := re.search(r"contract|legal|lawyer|discount|refund|complain|security review|dpa\b", body):
        return {
            "handling": "person",
            "intent": kind,
            "reason": f"mentions {found[0]}: a person should answer",
        }
    return {"handling": "letter", "intent": kind, "reason": f"the answer reads as {kind.replace('_', ' ')}"}


def own_words(body: str) -> str:
    """The text above the quoted mail, at most 4,000 characters."""
    lines: list[str] = []
    for line in body[:20_000].splitlines():
        if _QUOTED.match(line):
            break
        lines.append(line)
    return "\n".join(lines)[:4000].replace("\u2019", "'")


def _label(label: str, confidence: float, reason: str) -> dict[str, Any]:
    return {"label": label, "confidence": confidence, "reason": clean(reason)}


def _today(facts: dict[str, Any]) -> date:
    try:
        return date.fromisoformat(str(facts.get("received_on"))[:10])
    except ValueError:
        return date.min


def _dates(text: str, today: date) -> list[date]:
    """Every calendar day named in the text: ISO, 3 June, June 3rd, 03.06.2026 (day first)."""
    found = [
        _day(int(y), int(m), int(d), today) for y, m, d in re.findall(r"\b(\d{4})-(\d\d)-(\d\d)\b", text)
    ]
    found += [
        _day(int(y or 0), int(m), int(d), today)
        for d, m, y in re.findall(r"\b(\d{1,2})[./](\d{1,2})(?:[./](\d{4}))?\b", text)
    ]
    months = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)
    tail = r"(?:,? (\d{4}))?\b"
    for d, month, y in re.findall(
        rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?({months}){tail}", text, re.IGNORECASE
    ):
        found.append(_day(int(y or 0), _month(month), int(d), today))
    for month, d, y in re.findall(rf"\b({months})\.? (\d{{1,2}})(?:st|nd|rd|th)?{tail}", text, re.IGNORECASE):
        found.append(_day(int(y or 0), _month(month), int(d), today))
    return [day for day in found if day]


def _month(name: str) -> int:
    return next(i for i, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()[:3]))


def _day(year: int, month: int, day: int, today: date) -> date | None:
    try:
        if year:
            return date(year, month, day)
        this_year = date(today.year, month, day)
        return this_year if this_year >= today else date(today.year + 1, month, day)
    except ValueError:
        return None


RULES: dict[str, Rule] = {
    "classify_reply.label": classify,
    "classify_reply.return_date": return_date,
    "classify_reply.referral": referral,
    "email_reply.read": read,
}
