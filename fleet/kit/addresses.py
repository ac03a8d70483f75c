"""E-mail addresses and the domains behind them: what is one, what it tells, and which stand in a text.

Nobody is asked: an address that is well formed may still be nobody's. The libraries are imported on first use.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from email_validator import ValidatedEmail
    from publicsuffixlist import PublicSuffixList

#: A text may hold thousands of what looks like one; more are not looked at.
MOST_LOOKED_AT = 500
LONGEST = 320
_AROUND = re.compile(r"[\s<>()\[\]{},;:\"|]+")
_SHARED = frozenset({"info", "contact", "hello", "sales", "office", "support", "admin", "noreply", "no-reply", "jobs", "press", "team", "hr", "mail", "privacy"})  # fmt: skip
_FREE = frozenset({"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "gmx.de", "gmx.net", "web.de", "proton.me"})  # fmt: skip


def parse(address: str) -> ValidatedEmail | None:
    """The parts of an address as RFC 5321 and IDNA see them; None when it is none, or none of the public internet."""
    from email_validator import EmailNotValidError, validate_email

    if "@" not in address or len(address) > LONGEST:
        return None
    try:
        return validate_email(address.strip(), check_deliverability=False, allow_quoted_local=True)
    except EmailNotValidError:
        return None


def addresses_in(text: str) -> list[str]:
    """The addresses that stand in a text, once each, in order and as they are written there."""
    words = (word.strip(".'`*_!?/\\").removeprefix("mailto:") for word in _AROUND.split(text) if "@" in word)
    return [word for word in islice(dict.fromkeys(words), MOST_LOOKED_AT) if parse(word)]


def address_facts(address: str, website: str = "") -> dict[str, bool]:
    """What an address tells by itself: whether it is one, whose it may be, and whether it is the company's."""
    parts = parse(address)
    if parts is None:
        return {"valid": False, "shared": False, "private": False, "of_company": False}
    domain = registered(parts.ascii_domain or parts.domain)
    return {
        "valid": True,
        "shared": parts.local_part.lower() in _SHARED,
        "private": domain in _FREE,
        "of_company": bool(domain) and domain == site_of(website),
    }


def site_of(website: str) -> str:
    """The domain that the owner of a website registered: `acme.co.uk` for `https://www.shop.acme.co.uk/about`."""
    text = website.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return registered(host)


def registered(host: str) -> str:
    """The registered domain above a host, in ASCII; "" for a bare suffix such as `co.uk`, an IP address or a lone name."""
    import idna

    name = host.strip().rstrip(".").lower()
    try:
        name = idna.encode(name, uts46=True).decode() if name else ""
    except idna.IDNAError:
        return ""
    if name.replace(".", "").isdigit():
        return ""
    return _suffixes().privatesuffix(name) or ""


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
