"""Offline rules that read company texts: technologies by name, intent towards AI by phrase, each with its sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.rules import technologies
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_AI = r"(?:\bAI\b|artificial intelligence|machine learning|\bML\b|\bLLMs?\b|language models?|\bagents?\b|computer vision|neural)"
_INTENT = (
    ("building", rf"(?:we|our|team|platform|product|company)\b.{{0,60}}\b(?:build|develop|train|offer|ship|sell|power|provide)\w*\b.{{0,60}}{_AI}|{_AI}.{{0,20}}(?:-powered|-native|platform|product|startup|models? we)"),
    ("adopting", rf"(?:use|using|rolled? out|deploy\w*|introduc\w*|automat\w*|integrat\w*|adopt\w*)\b.{{0,60}}{_AI}"),
    ("exploring", rf"(?:explor\w*|plan\w*|pilot\w*|test\w*|experiment\w*|evaluat\w*|hiring|looking for|first|want to|proof of concept|curious)\b.{{0,80}}{_AI}|{_AI}.{{0,40}}(?:roadmap|pilot|strategy|working group)"),
)  # fmt: skip
_NEEDS = {
    "building": "runs AI in its product and needs it observable and dependable",
    "adopting": "is bringing AI into daily work and needs that work to be traceable",
    "exploring": "is taking first steps with AI and needs a low-risk way to start",
}


def extract(facts: dict[str, Any]) -> dict[str, Any]:
    text = str(facts.get("text") or "")
    found = [_shown(text, *one) for one in technologies.certain(text)]
    return {"technologies": found[:60], "unsure": technologies.ambiguous(text)[:12]}


def settle(facts: dict[str, Any]) -> dict[str, Any]:
    """An ambiguous name is a technology when code is talked about right before or after it."""
    text = str(facts.get("text") or "")
    known = [str(name) for name in facts.get("unsure") or [] if name in technologies.AMBIGUOUS]
    hits = ((name, technologies.AMBIGUOUS[name], technologies.meant(text, name)) for name in known)
    return {"technologies": [_shown(text, name, category, hit) for name, category, hit in hits if hit]}


def intent(facts: dict[str, Any]) -> dict[str, Any]:
    text = str(facts.get("text") or "")[:20_000]
    lines = [line for part in text.splitlines() for line in re.split(r"(?<=[.!?]) +", part)]
    for label, pattern in _INTENT:
        if quotes := [
            line.strip()[:300]
            for line in lines
            if re.search(pattern, line[:1000], re.IGNORECASE) and not _denied(line)
        ]:
            return {"label": label, "confidence": 0.75 if len(quotes) > 1 else 0.6, "evidence": quotes[:5]}
    spoken_of = any(re.search(_AI, line, re.IGNORECASE) and not _denied(line) for line in lines)
    return {"label": "none", "confidence": 0.3 if spoken_of or not text.strip() else 0.6, "evidence": []}


def need(facts: dict[str, Any]) -> dict[str, Any]:
    name = clean(section(facts.get("company")).get("name"), 80) or "The company"
    return {"need": f"{name} {_NEEDS.get(clean(facts.get('label')), 'shows an interest in AI')}"}


def _denied(line: str) -> bool:
    return bool(re.search(r"\b(?:no|not|never|without|don't|doesn't)\b.{0,30}" + _AI, line, re.IGNORECASE))


def _shown(text: str, name: str, category: str, hit: re.Match[str]) -> dict[str, str]:
    return {"name": name, "category": category, "evidence": _around(text, hit)}


def _around(text: str, hit: re.Match[str]) -> str:
    """Some words around the hit, within its line, exactly as they stand in the text."""
    before = text[max(0, hit.start() - 60) : hit.start()].splitlines()[-1:] if hit.start() else []
    after = text[hit.end() : hit.end() + 60].splitlines()[:1]
    left, right = "".join(before), "".join(after)
    if len(left) == 60:
        left = left.partition(" ")[2]
    if len(right) == 60:
        right = right.rpartition(" ")[0]
    return (left + hit[0] + right).strip()


RULES: dict[str, Rule] = {
    "extract_stack.extract": extract,
    "extract_stack.settle": settle,
    "classify_ai_intent.label": intent,
    "classify_ai_intent.opening": need,
}
