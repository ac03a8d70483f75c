"""Offline rules for e-mails: a plain template drafts, a checklist criticises, an editor applies the critique."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.text import as_sentence, clean, clean_list, first_name, section, sentences, words

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

MAX_WORDS = 90
MAX_SUBJECT = 60
FILLER = (
    "i am reaching out",
    "i hope this",
    "i wanted to reach out",
    "just checking in",
    "my name is",
    "touching base",
)
SPAM = ("100%", "act now", "click here", "guarantee", "limited time", "risk-free", "risk free")
_LATER = re.compile(
    r"\b(?:[Qq][1-4]|[Nn]ext (?:month|quarter|spring|summer|autumn|fall|year)|January|February|March|April|May|June|July|August"
    r"|September|October|November|December)\b"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*%?")
DEFAULT_ASK = "Would a 15-minute call next week be useful?"


def draft(facts: dict[str, Any]) -> dict[str, Any]:
    """A first version from the template: introduction, what stood out, the offer, the proof, one question."""
    contact, company = section(facts.get("contact")), section(facts.get("company"))
    offer, sender = section(facts.get("offer")), section(facts.get("sender"))
    name = clean(company.get("name")) or "your team"
    middle = [
        introduction(sender),
        _noticed(name, clean_list(company.get("facts")), clean(company.get("description"))),
        pitch(offer),
        as_sentence(clean(offer.get("proof"))),
    ]
    lines = [
        greeting(contact, clean(facts.get("tone"))),
        " ".join(line for line in middle if line),
        question(offer),
        signature(sender),
    ]
    subject = f"{clean(offer.get('product')) or 'An idea'} for {name}"
    return {"subject": subject[:120], "body": "\n\n".join(line for line in lines if line)}


def followup(facts: dict[str, Any]) -> dict[str, Any]:
    """A shorter mail in the same thread, with one thing the earlier mails did not say and what it is about."""
    contact, company = section(facts.get("contact")), section(facts.get("company"))
    offer, sender = section(facts.get("offer")), section(facts.get("sender"))
    previous = [section(mail) for mail in facts.get("previous") or []]
    said = " ".join(clean(mail.get("body"), 5000) for mail in previous)
    last = facts.get("last_one") is True
    opening = "This is my last note on this." if last else ""
    ask = (
        "If it is not a fit, a one-word reply is enough." if last else "Is this worth a short call this week?"
    )
    subject = clean(previous[-1].get("subject")) if previous else clean(offer.get("product"))
    middle = " ".join(filter(None, [opening, *_unsaid(company, offer, said.lower())]))
    body = [greeting(contact), middle, ask, signature(sender)]
    return {"subject": reply_subject(subject), "body": "\n\n".join(part for part in body if part)}


def reply(facts: dict[str, Any]) -> dict[str, Any]:
    """Answer what was asked from the given facts; what they do not cover is said to be open, never made up."""
    contact, offer = section(facts.get("contact")), section(facts.get("offer"))
    message, intent = section(facts.get("message")), clean(facts.get("intent"))
    known = clean_list(facts.get("answers"))
    middle = {
        "interested": "Glad to hear that. " + (known[0] if known else pitch(offer)),
        "question": " ".join(known)
        or "I do not want to guess at this. I will check with my colleagues and come back to you with an exact answer.",
        "not_now": "Understood, and thank you for telling me. I will leave it there for now.",
        "referral": "Thank you for pointing me to the right person. I will write to them.",
    }.get(intent, "Thank you for your answer.")
    ask = {
        "interested": "Which day next week suits you for 15 minutes?",
        "question": "Does that help, or shall we take 15 minutes to go through it?",
        "not_now": _later(clean(message.get("body"), 5000)),
        "referral": "May I say that you sent me?",
    }.get(intent, "")
    body = [greeting(contact), middle, ask, signature(section(facts.get("sender")))]
    return {"subject": reply_subject(clean(message.get("subject"))), "body": "\n\n".join(filter(None, body))}


def critique(facts: dict[str, Any]) -> dict[str, Any]:
    """Check a draft as an editor would; `issues` are the findings, `revise` means at least one."""
    mail = section(facts.get("draft"))
    subject, body = str(mail.get("subject") or ""), str(mail.get("body") or "")
    name = clean(section(facts.get("company")).get("name"))
    issues = [issue for issue in _issues(subject, body, name) if issue]
    issues += _unsupported_numbers(body, facts)
    score = max(0.0, round(1.0 - 0.2 * len(issues), 2))
    return {"verdict": "revise" if issues else "good", "score": score, "issues": issues[:8]}


def refine(facts: dict[str, Any]) -> dict[str, Any]:
    """Apply the checklist to a draft: drop filler and unsupported claims, keep one question, cut to length."""
    mail = section(facts.get("draft"))
    body, subject = str(mail.get("body") or ""), str(mail.get("subject") or "")
    name = clean(section(facts.get("company")).get("name"), 80)
    if f"never names {name}" in _issues(subject, body, name):
        subject = f"{name}: {subject}"
    supported = _numbers_in(facts)
    paragraphs = [part.strip() for part in body.split("\n\n") if part.strip()]
    kept = [_edit(paragraph, supported) for paragraph in paragraphs]
    kept = _one_question([paragraph for paragraph in kept if paragraph])
    while len(words("\n".join(kept))) > MAX_WORDS and _shorten(kept):
        continue
    return {"subject": _tidy_subject(subject), "body": "\n\n".join(part for part in kept if part) or body}


def greeting(contact: dict[str, Any], tone: str = "") -> str:
    name = clean(contact.get("name"), 80)
    return f"Dear {name}," if tone == "formal" and name else f"Hi {first_name(name) or 'there'},"


def introduction(sender: dict[str, Any]) -> str:
    firm = clean(sender.get("company"), 80)
    return f"I am reaching out from {firm}." if firm else ""


def pitch(offer: dict[str, Any]) -> str:
    """`Relay cuts …` for a value that starts with a verb, `Relay: …` for one that is a sentence of its own."""
    product, value = clean(offer.get("product"), 80), clean(offer.get("value"))
    if not product:
        return as_sentence(value)
    if not value:
        return f"I would like to show you {product}."
    return as_sentence(f"{product} {value}" if value[0].islower() else f"{product}: {value}")


def meaning(role: str, offer: dict[str, Any]) -> str:
    """What to talk about with someone of that role."""
    product = clean(offer.get("product"), 80) or "the offer"
    gist = pitch(offer) if clean(offer.get("value")) else f"what {product} would change"
    return f"What this means for {f'the {role}' if role else 'this person'}: {gist}"[:300]


def question(offer: dict[str, Any]) -> str:
    """The question asked for, else one about the goal, else the usual one. An ask such as `a call` is a goal."""
    ask, goal = clean(offer.get("ask")), clean(offer.get("goal"), 120)
    if ask and not re.match(r"(?:an?|the)\b[^?]*$", ask, re.IGNORECASE):
        return as_sentence(ask)
    wanted = (goal or ask).rstrip(".?!")
    return f"Would {wanted[0].lower()}{wanted[1:]} be useful?" if wanted else DEFAULT_ASK


def signature(sender: dict[str, Any]) -> str:
    lines = ["Best,", clean(sender.get("name"), 80), clean(sender.get("company"), 80)]
    return "\n".join(line for line in lines if line)


def reply_subject(subject: str) -> str:
    bare = re.sub(r"^(?:(?:re|aw|fwd?)\s*:\s*)+", "", subject.strip(), flags=re.IGNORECASE)
    return f"Re: {bare or 'our conversation'}"[:120]


def _noticed(name: str, facts: list[str], description: str) -> str:
    if facts:
        return f"One thing about {name} caught my eye: {facts[0].rstrip('.')}."
    return f"I read this about {name}: “{description.rstrip('.')}”." if description else ""


def _unsaid(company: dict[str, Any], offer: dict[str, Any], said: str) -> list[str]:
    """The first fact about the company, else about the offer, that no mail has stated; a fact leads to the offer."""

    def fresh(lines: list[str]) -> str:
        return next((line.rstrip(".") for line in lines if line.rstrip(".").lower() not in said), "")

    name, product = clean(company.get("name"), 80), clean(offer.get("product"), 80)
    what = pitch(offer)
    if fact := fresh(clean_list(company.get("facts"))):
        return [f"My earlier mail left out one thing about {name or 'your team'}: {fact}.", what]
    if fact := fresh([*clean_list(offer.get("proof")), *clean_list(offer.get("extras"))]):
        return [f"My earlier mail left out one thing about {product or 'our offer'}.", as_sentence(fact)]
    return ["In short, this is what my earlier mail was about.", what] if what else []


def _issues(subject: str, body: str, company: str) -> list[str]:
    low, count = body.lower(), len(words(body))
    spam = [word for word in SPAM if word in low or word in subject.lower()]
    filler = [phrase for phrase in FILLER if phrase in low]
    return [
        f"{count} words; {MAX_WORDS} are enough" if count > MAX_WORDS else "",
        f"opens about the sender ('{filler[0]} …')" if filler else "",
        f"sounds like spam ('{spam[0]}')" if spam else "",
        "shouts with an exclamation mark" if "!" in body + subject else "",
        "asks nothing" if "?" not in body and not re.search(r"one-word reply|leave it", low) else "",
        "asks more than one question" if body.count("?") > 1 else "",
        f"never names {company}" if company and not _names(company, subject, body) else "",
        f"the subject is longer than {MAX_SUBJECT} characters" if len(subject) > MAX_SUBJECT else "",
        "the subject is in capitals" if subject.isupper() and len(subject) > 5 else "",
    ]


def _names(company: str, subject: str, body: str) -> bool:
    """Within a thread both sides know whom it is about, and its subject stays as it is."""
    return subject.lower().startswith("re:") or company.lower() in (subject + body).lower()


def _later(message: str) -> str:
    time = _LATER.search(message)
    if not time:
        return "When would be a better time?"
    return f"Shall I write again {'' if time[0].lower().startswith('next') else 'in '}{time[0]}?"


def _unsupported_numbers(body: str, facts: dict[str, Any]) -> list[str]:
    supported = _numbers_in(facts)
    return [
        f"states {n}, which no given fact supports"
        for n in dict.fromkeys(_NUMBER.findall(body))
        if n not in supported
    ]


def _numbers_in(facts: dict[str, Any]) -> set[str]:
    """Every figure of the given facts, and that of our own default question."""
    given = {key: value for key, value in facts.items() if key not in ("draft", "critique")}
    return set(_NUMBER.findall(str(given))) | set(_NUMBER.findall(DEFAULT_ASK))


def _edit(paragraph: str, supported: set[str]) -> str:
    if "\n" in paragraph or not re.search(r"[.?!]", paragraph):
        return paragraph  # greeting and signature
    kept = [
        s for s in sentences(paragraph) if not _unwanted(s.lower()) and set(_NUMBER.findall(s)) <= supported
    ]
    return " ".join(sentence.replace("!", ".") for sentence in kept)


def _unwanted(sentence: str) -> bool:
    return any(phrase in sentence for phrase in (*FILLER, *SPAM))


def _one_question(paragraphs: list[str]) -> list[str]:
    """Keep the last question, and add one when there is none."""
    questions = [s for p in paragraphs for s in sentences(p) if s.endswith("?")]
    if not questions:
        return [*paragraphs[:-1], DEFAULT_ASK, *paragraphs[-1:]] if paragraphs else [DEFAULT_ASK]
    for index, paragraph in enumerate(paragraphs):
        if "\n" not in paragraph:
            kept = [s for s in sentences(paragraph) if not s.endswith("?") or s == questions[-1]]
            paragraphs[index] = " ".join(kept)
    return paragraphs


def _shorten(paragraphs: list[str]) -> bool:
    """Take the last sentence off the longest paragraph; False when nothing can go."""
    longest = max(range(len(paragraphs)), key=lambda i: len(paragraphs[i]))
    parts = sentences(paragraphs[longest])
    if len(parts) < 2:
        return False
    paragraphs[longest] = " ".join(parts[:-1])
    return True


def _tidy_subject(subject: str) -> str:
    subject = subject.replace("!", "").strip()
    subject = subject.capitalize() if subject.isupper() and len(subject) > 5 else subject
    if len(subject) <= MAX_SUBJECT:
        return subject or "A short question"
    return subject[:MAX_SUBJECT].rsplit(" ", 1)[0].rstrip(" ,;:-")


RULES: dict[str, Rule] = {
    "email_compose.draft": draft,
    "email_followup.draft": followup,
    "email_reply.draft": reply,
    "email.critique": critique,
    "email.refine": refine,
}
