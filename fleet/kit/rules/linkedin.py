"""Offline rules that read posts and profiles of a professional network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.addresses import addresses_in
from fleet.kit.text import clean, first_name, section, statements, words

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

#: Kind → (urgency, how its sentence reads), tried from top to bottom: who sells is no buyer, whatever else is said.
_KINDS: tuple[tuple[str, float, str], ...] = (
    ("promotion", 0.0, r"\b(?:book a (?:call|demo)|link in (?:the )?(?:bio|comments?)|sign up|join our webinar|dm me|\d+ ?% off|our (?:new )?e-?book|limited seats)\b"),
    ("need", 0.9, r"\b(?:any(?:one|body) (?:know|use|using|here|recommend)|recommend(?:ation)?s?\b|looking for (?:a|an|some)|struggl\w+|fed up|tired of|takes? us (?:hours|days|weeks)|how do you (?:all )?(?:handle|manage|deal)|by hand|manually|what tool|alternatives? to|help me find|pain)\b"),
    ("hiring", 0.6, r"\b(?:we(?:'re| are) hiring|is hiring|join (?:our|my) team|open (?:role|position)s?|looking for (?:our|my) (?:next|first)|now hiring)\b"),
    ("change", 0.6, r"\b(?:thrilled|excited|proud|happy) to (?:announce|share|start|join)|\b(?:launch(?:ed|ing)?|raised|series [a-e]|acquired|opened|new (?:job|role|position|chapter|office)|started (?:a|as)|migrat\w+|expand\w+)\b"),
    ("opinion", 0.2, r"\b(?:i (?:think|believe)|in my (?:view|opinion)|unpopular opinion|hot take|the truth is|we need to talk about|agree\?|thoughts\?)"),
)  # fmt: skip
#: Long words that say nothing about the field.
_COMMON = frozenset(("with", "that", "this", "from", "your", "their", "they", "have", "will", "into", "within", "every", "more", "than", "what", "when"))  # fmt: skip
_ASK = {
    "need": "What have you tried so far, and where did it fall short?",
    "change": "What is the first thing that changes for your team?",
    "hiring": "What should the new colleague take off the team first?",
}
_HEADLINE = re.compile(
    r"^(?P<role>[^|•·@]{2,80}?)\s+(?:at|@|bei|chez)\s+(?P<company>[^|•·,;]{2,80})", re.IGNORECASE
)
_ORGANISATION = re.compile(
    r"\b\d[\d,.]{0,12} employees\b|\b(?:company size|founded in \d{4}|headquarters:|specialties:|followers\W{1,9}\d[\d,]{0,12} (?:employees|alumni))",
    re.IGNORECASE,
)
_PERSON_NAME = re.compile(r"^[A-ZÀ-Þ][\w'.-]+(?: (?:van|de|von|der|di|la|el))*(?: [A-ZÀ-Þ][\w'.-]+){1,3}$")  # fmt: skip
_PLACE = re.compile(r"^[A-ZÀ-Þ][\w' -]+, [A-ZÀ-Þ][\w', -]+$|^Greater [A-Z]\w+", re.UNICODE)


def rate(facts: dict[str, Any]) -> dict[str, Any]:
    """The kind by its first sentence of that kind; relevance by the words it shares with the offer."""
    post, offer = section(facts.get("post")), section(facts.get("offer"))
    lines = statements(str(post.get("text") or "")[:10_000])
    for kind, urgency, pattern in _KINDS:
        shown = next((line for line in lines if re.search(pattern, line, re.IGNORECASE)), "")
        if shown:
            return {
                "kind": kind,
                "confidence": 0.65,
                "relevance": _relevance(" ".join(lines), offer),
                "urgency": urgency,
                "evidence": shown[:400],
            }
    first = lines[0][:400] if lines else ""
    return {"kind": "other", "confidence": 0.3, "relevance": _relevance(" ".join(lines), offer), "urgency": 0.0, "evidence": first}  # fmt: skip


def comment(facts: dict[str, Any]) -> dict[str, Any]:
    post, kind = section(facts.get("post")), clean(facts.get("kind"))
    name = first_name(clean(section(post.get("author")).get("name"), 120))
    quote = clean(facts.get("evidence"), 160).rstrip(".!")
    opening = f"{name}, you write “{quote}”." if name else f"You write “{quote}”."
    return {
        "comment": f"{opening} {_ASK.get(kind, _ASK['need'])}",
        "next_step": f"comment under your own name; write to {name or 'the author'} once there is an answer",
    }


def read_profile(facts: dict[str, Any]) -> dict[str, Any]:
    """Fields first, then the headline, then the lines of a pasted profile."""
    profile, pasted = section(facts.get("profile")), str(facts.get("text") or "")
    lines = [line.strip() for line in pasted.splitlines() if line.strip()]
    headline = clean(profile.get("headline"), 300) or next(
        (line for line in lines if _HEADLINE.match(line)), ""
    )
    said, job = _HEADLINE.match(headline), _present(profile.get("experience"))
    whole = f"{pasted}\n{clean(profile.get('about'), 4000)}\n{clean(profile.get('email'))}"
    name = clean(profile.get("name"), 200) or next(
        (line for line in lines[:4] if _PERSON_NAME.match(line)), ""
    )
    role = job.get("title") or (said["role"].strip() if said else headline.split("|")[0].strip())
    organisation = bool(_ORGANISATION.search(pasted)) or bool(profile.get("employees"))
    return {
        "decision": "organisation" if organisation else "person" if name else "unclear",
        "name": name,
        "role": clean(role, 300),
        "company": clean(profile.get("company") or job.get("company") or (said["company"] if said else ""), 300).rstrip("."),
        "location": clean(profile.get("location"), 300) or next((line for line in lines[:6] if _PLACE.match(line)), ""),
        "email": next(iter(addresses_in(whole)), ""),
    }  # fmt: skip


def _present(experience: Any) -> dict[str, str]:
    """The job someone has now: the one without an end, else the first."""
    jobs = [section(job) for job in experience] if isinstance(experience, list) else []
    found = next((job for job in jobs if not clean(job.get("to"))), jobs[0] if jobs else {})
    return {key: clean(found.get(key), 300) for key in ("title", "company")}


def _relevance(text: str, offer: dict[str, Any]) -> float:
    """Shared words of weight: three are as near as the rules can tell; 0.5 when no offer is given."""
    about = " ".join(clean(offer.get(key)) for key in ("product", "value", "proof"))
    wanted = {_stem(word) for word in words(about.lower()) if len(word) > 3 and word not in _COMMON}
    if not wanted:
        return 0.5
    shared = wanted & {_stem(word) for word in words(text.lower())}
    return round(min(1.0, len(shared) / 3), 2)


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ers?|ed|es|s)$", "", word)


RULES: dict[str, Rule] = {
    "linkedin_post_score.rate": rate,
    "linkedin_post_score.comment": comment,
    "linkedin_profile_intake.read": read_profile,
}
