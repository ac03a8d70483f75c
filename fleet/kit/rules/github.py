"""Offline rules that read a company's public work on GitHub as a sales signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.text import clean, listed, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

ACTIVE_DAYS = 90


def assess(facts: dict[str, Any]) -> dict[str, Any]:
    """`pursue` an organisation that works in the open now, `watch` one that did, `skip` one with nothing to see."""
    company = section(facts.get("company"))
    repos = [section(repo) for repo in facts.get("repos") or []]
    active = [repo for repo in repos if _days(repo) <= ACTIVE_DAYS]
    name = clean(company.get("name"), 80) or clean(company.get("login"), 80) or "the organisation"
    if not repos:
        return _assessment("skip", [f"{name} shows no public repository"], "")
    languages = _by_count([clean(repo.get("language"), 40) for repo in repos])
    stars = sum(int(repo.get("stars") or 0) for repo in repos)
    signals = [f"{len(repos)} public repositories read, {len(active)} pushed within {ACTIVE_DAYS} days"]
    if languages:
        signals.append(f"works in {listed(languages[:3])}")
    if stars:
        signals.append(f"{stars:,} stars on those repositories")
    return _assessment("pursue" if active else "watch", signals, _hook(name, active or repos))


def _hook(name: str, repos: list[dict[str, Any]]) -> str:
    """A fact to open with, from the repository pushed to last."""
    latest = min(repos, key=_days)
    about = clean(latest.get("description"), 160)
    return f"{name} works on {clean(latest.get('name'), 80)}" + (f" ({about.rstrip('.')})" if about else "")


def _days(repo: dict[str, Any]) -> int:
    days = repo.get("days_since_push")
    return days if isinstance(days, int) else 10**6


def _by_count(items: list[str]) -> list[str]:
    return sorted({item for item in items if item}, key=lambda item: (-items.count(item), item))


def _assessment(verdict: str, signals: list[str], hook: str) -> dict[str, Any]:
    return {"verdict": verdict, "signals": signals, "hook": hook}


RULES: dict[str, Rule] = {"gh_lead_research.assess": assess}
