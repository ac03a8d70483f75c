"""People whom a text names, and what their addresses tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.evidence import found_in
from fleet.kit.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.kit.evidence import Evidence

ADDRESS = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}")
_SHARED = frozenset(
    [
        "info",
        "contact",
        "hello",
        "sales",
        "office",
        "support",
        "admin",
        "noreply",
        "no-reply",
        "jobs",
        "press",
        "team",
        "hr",
        "mail",
        "privacy",
    ]
)
_FREE = frozenset(
    ["gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "gmx.de", "web.de", "proton.me"]
)


def proven(people: list[dict[str, Any]], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Each person once whose name stands in a text, with where; a role or address that stands nowhere is dropped."""
    kept: dict[str, dict[str, Any]] = {}
    for one in people:
        name = clean(one.get("name"), 120)
        text = found_in(name, evidence)
        if text is None:
            continue
        facts = {key: clean(one.get(key), 320) for key in ("role", "email")}
        true = {key: value if found_in(value, evidence) else "" for key, value in facts.items()}
        kept.setdefault(name.lower(), {"name": name, **true, "source": text["source"], "url": text["url"]})
    return list(kept.values())


def address_facts(address: str, website: str = "") -> dict[str, Any]:
    """What an address tells without asking anyone: whether it is one, whose, and whether it is the company's."""
    plain = address.strip().lower()
    local, _, domain = plain.partition("@")
    site = re.sub(r"^(?:https?://)?(?:www\.)?", "", website.strip().lower()).split("/")[0]
    return {
        "valid": bool(ADDRESS.fullmatch(plain)) and ".." not in plain and not local.startswith("."),
        "shared": local in _SHARED,
        "private": domain in _FREE,
        "of_company": bool(site)
        and (domain == site or site.endswith("." + domain) or domain.endswith("." + site)),
    }
