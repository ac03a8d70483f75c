"""Offline rules for signals: what hiring shows, how repositories are built, and where competitors overlap."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from fleet.kit.rules.telling import telling
from fleet.kit.text import clean, clean_list, listed, section, sentences

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_NEW = re.compile(r"\b(?:founding|first|head of|lead|new|AI|machine learning|platform)\b", re.IGNORECASE)
_TEAM_FROM, _SHARED_BY = 3, 0.5
_COMPARES = re.compile(
    r"\b(?:alternatives? to|competitors?|compared? (?:to|with)|versus|vs\.?|unlike|instead of|rivals?)\b",
    re.IGNORECASE,
)
_PROPER = re.compile(r"\b[A-Z][\w-]+(?: [A-Z][\w-]+)?")
_PRAISE = re.compile(
    r"\b(?:leading|customers?|only|first|fast\w*|raised|trusted|integrat\w+|\d+ ?%)", re.IGNORECASE
)


def read_board(facts: dict[str, Any]) -> dict[str, Any]:
    """Jobs that name an interest, or something new, show a team being built when there are enough of them."""
    interest = [word.lower() for word in clean_list(facts.get("interest") or [])]
    jobs = [section(job) for job in facts.get("jobs") or []]

    def shows(job: dict[str, Any]) -> bool:
        line = f"{job.get('title')} {job.get('team')} {job.get('department')}".lower()
        return any(word in line for word in interest) if interest else bool(_NEW.search(line))

    numbers = [job["number"] for job in jobs if shows(job)][:20]
    if not jobs:
        return {"signal": "quiet", "jobs": [], "why": "no job is open"}
    signal = "building" if len(numbers) >= min(_TEAM_FROM, len(jobs)) else "steady"
    about = f"name {', '.join(interest[:3])}" if interest else "are for something new"
    return {"signal": signal, "jobs": numbers, "why": f"{len(numbers)} of {len(jobs)} open jobs {about}"}


def board_opening(facts: dict[str, Any]) -> dict[str, Any]:
    titles, board = clean_list(facts.get("jobs") or []), clean(facts.get("board"), 80)
    owner = (
        "Head of Engineering"
        if re.search(r"engineer|data|machine|software|developer", " ".join(titles), re.IGNORECASE)
        else "the head of the department"
    )
    return (
        {"opening": f"I saw that {board} is looking for a {titles[0]}.", "owner": owner}
        if titles
        else {"opening": f"I saw that {board} is hiring.", "owner": owner}
    )


def patterns(facts: dict[str, Any]) -> dict[str, Any]:
    repos = [section(repo) for repo in facts.get("repos") or []]
    counts = {clean(name, 60): int(n) for name, n in section(facts.get("counts")).items()}
    found = [f"{name}: {n} of {len(repos)} repositories" for name, n in counts.items() if n >= 2][:8]
    languages = Counter(repo.get("language") for repo in repos if repo.get("language"))
    if len(repos) < 2 or not found:
        return {"verdict": "bare", "patterns": found}
    _name, most = languages.most_common(1)[0] if languages else ("", 0)
    return {"verdict": "consistent" if most / len(repos) > _SHARED_BY else "mixed", "patterns": found}


def gaps(facts: dict[str, Any]) -> dict[str, Any]:
    repos = [section(repo) for repo in facts.get("repos") or []]
    usual = ("tests", "GitHub Actions", "documentation", "security policy")
    lacking = {name: sum(name not in (repo.get("practices") or []) for repo in repos) for name in usual}
    return {
        "gaps": [
            f"no {name} in {n} of {len(repos)} repositories"
            for name, n in lacking.items()
            if n > len(repos) / 2
        ]
    }


def groups(facts: dict[str, Any]) -> dict[str, Any]:
    by_language: dict[str, list[str]] = {}
    for repo in facts.get("repos") or []:
        by_language.setdefault(clean(section(repo).get("language"), 40) or "no language", []).append(
            clean(section(repo).get("name"), 80)
        )
    return {
        "groups": [f"{language}: {', '.join(names)}"[:300] for language, names in by_language.items()][:6]
    }


def name_competitors(facts: dict[str, Any]) -> dict[str, Any]:
    """Proper names in sentences that compare, but for the company's own."""
    own = clean(section(facts.get("company")).get("name"), 120).lower()
    lines = [
        line for one in facts.get("evidence") or [] for line in sentences(str(section(one).get("text") or ""))
    ]
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        compares = _COMPARES.search(line)
        for hit in _PROPER.finditer(line, compares.end()) if compares else ():
            if hit[0].lower() not in own and own not in hit[0].lower():
                found.setdefault(hit[0], {"name": hit[0], "website": ""})
    return {"competitors": list(found.values())[:12]}


def study(facts: dict[str, Any]) -> dict[str, Any]:
    """Direct when the texts share several telling words with what the company says of itself."""
    company = section(facts.get("company"))
    ours = telling(f"{company.get('description')} {company.get('industry')} {company.get('facts')}")
    lines = [
        line for one in facts.get("evidence") or [] for line in sentences(str(section(one).get("text") or ""))
    ]
    shared = len(ours & telling(" ".join(lines)))
    overlap = "direct" if shared >= 2 else "indirect" if shared else "none"
    return {"overlap": overlap, "strengths": [line[:300] for line in lines if _PRAISE.search(line)][:5]}


def compare(facts: dict[str, Any]) -> dict[str, Any]:
    name = clean(section(facts.get("company")).get("name"), 80) or "the company"
    direct = [
        clean(one.get("name"), 80) for one in facts.get("studied") or [] if one.get("overlap") == "direct"
    ]
    return {
        "standing": f"{name} and {listed(direct)} sell to the same buyers.",
        "question": f"What would have to be better than {direct[0] if direct else 'today'} for you to change?",
    }


RULES: dict[str, Rule] = {
    "ashby_ingest.read": read_board,
    "ashby_ingest.opening": board_opening,
    "gh_patterns.read": patterns,
    "gh_patterns.gaps": gaps,
    "gh_patterns.teams": groups,
    "competitors_team.name": name_competitors,
    "competitors_team.study": study,
    "competitors_team.compare": compare,
}
