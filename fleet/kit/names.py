"""When two names mean one person or one company, and whether a text names a company: spelling differs, people do too.

rapidfuzz is imported on first use.
"""

from __future__ import annotations

import re
import unicodedata

#: From here on two company names differ by a slip (`Robotic`, `Robotics`); below it by a company (`Bank`, `Bahn`: 92).
ALIKE = 94
#: Enough for one person when both are written to at one address (`Maja`, `Maya`).
ALIKE_AT_ADDRESS = 80
#: A slip in a name shorter than this is another name.
SHORT = 6
_LEGAL = frozenset(
    {"inc", "incorporated", "corp", "corporation", "co", "company", "llc", "llp", "ltd", "limited", "plc", "gmbh", "ag", "kg",
     "kgaa", "ug", "se", "sa", "sas", "sarl", "srl", "spa", "bv", "nv", "ab", "oy", "oyj", "as", "aps", "pty", "pte", "mbh"}
)  # fmt: skip
_TITLES = frozenset({"dr", "prof", "mr", "mrs", "ms", "mx", "ing", "dipl", "phd", "msc", "mba", "sir", "dame", "herr", "frau"})  # fmt: skip
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"})
_SILENT = re.compile("[.'\u2019]")


def same_person(one: str, other: str, *, one_address: bool = False) -> bool:
    """The same words in any order, titles aside; at one address a similar name is the same."""
    from rapidfuzz import fuzz

    mine, theirs = (" ".join(word for word in _words(name) if word not in _TITLES) for name in (one, other))
    alike = fuzz.token_sort_ratio(mine, theirs)
    return bool(mine and theirs) and alike >= (ALIKE_AT_ADDRESS if one_address else 100)


def same_company(one: str, other: str) -> bool:
    """The same but for legal form, marks and a slip of spelling; `Siemens` is not `Siemens Energy`."""
    from rapidfuzz import fuzz

    mine, theirs = _company(one), _company(other)
    if min(len(mine), len(theirs)) < SHORT:
        return bool(mine) and mine == theirs
    return fuzz.ratio(mine, theirs) >= ALIKE


def names_company(text: str, company: str) -> bool:
    """True when the text names the company, with or without its legal form; a slip of spelling is let pass."""
    from rapidfuzz import fuzz

    name, words = _company(company), " ".join(_words(text))
    if len(name) < SHORT:
        return bool(name) and f" {name} " in f" {words} "
    return len(words) >= len(name) and fuzz.partial_ratio(name, words) >= ALIKE


def _company(name: str) -> str:
    words = _words(name.replace("&", " and "))
    while len(words) > 1 and (words[-1] in _LEGAL or words[-1] == "and"):
        words.pop()
    return " ".join(words)


def _words(text: str) -> list[str]:
    """Lower case without accents and marks: `Müller-Lüdenscheidt, S.A.` is `mueller luedenscheidt sa`."""
    spelled = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text.casefold()).translate(_SPELLED))
    spelled = _SILENT.sub("", "".join(c for c in spelled if not unicodedata.combining(c)))
    return re.findall(r"[^\W_]+", spelled)
