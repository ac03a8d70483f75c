"""Rules of the pages that a machine can hold: colours in one file, measured contrast, htmx on real links."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STATIC = REPOSITORY / "platform_site" / "static"
TEMPLATES = sorted((REPOSITORY / "templates").rglob("*.html"))
TOKENS = (STATIC / "css" / "tokens.css").read_text()
HEX = re.compile(r"#(?:[0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{3,4})\b(?!-)", re.IGNORECASE)
VERBS = ("hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete", "data-into")


@pytest.mark.parametrize("path", sorted((STATIC / "css").glob("*.css")), ids=lambda path: path.name)
def test_raw_colours_live_in_tokens_alone(path: Path) -> None:
    if path.name == "tokens.css":
        return
    assert HEX.findall(path.read_text()) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_inline_style_or_script(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", text))
    assert "|safe" not in text
    assert "autoescape off" not in text


class _Verbs(HTMLParser):
    """Collects hx-verbs that sit on anything but a link with an address or a form with an action."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.seen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name: value or "" for name, value in attrs}
        for verb in VERBS:
            if verb not in names:
                continue
            self.seen += 1
            link = tag == "a" and names.get("href")
            form = tag == "form" and (names.get("action") or verb == "hx-get")
            if not (link or form):
                self.bad.append(f"<{tag} {verb}>")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_htmx_verb_sits_on_a_real_link_or_form(path: Path) -> None:
    parser = _Verbs()
    # Template tags inside attributes would confuse an HTML parser; their text does not matter here.
    parser.feed(re.sub(r"{%.*?%}", "x", path.read_text()))
    assert parser.bad == []


def test_the_verb_rule_can_fail() -> None:
    parser = _Verbs()
    parser.feed('<div hx-get="/x"></div><a hx-get="/x">y</a><a href="/x" hx-get="/x">z</a>')
    assert parser.bad == ["<div hx-get>", "<a hx-get>"]
    assert parser.seen == 3


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, two: str) -> float:
    low, high = sorted((_luminance(one), _luminance(two)))
    return (high + 0.05) / (low + 0.05)


def _token(name: str) -> tuple[str, str]:
    found = re.search(rf"--{name}: light-dark\((#\w{{6}}), (#\w{{6}})\);", TOKENS)
    assert found, name
    return found.group(1), found.group(2)


TEXT_ON_GROUND = [
    *((ink, ground) for ink in ("ink", "ink-2") for ground in ("page", "surface", "surface-2", "surface-3")),
    *(("ink-quiet", ground) for ground in ("page", "surface", "surface-2", "surface-plane", "accent-soft")),
    *(
        (f"{tone}", ground)
        for tone in ("ok", "warn", "bad", "run", "accent")
        for ground in ("surface", "page")
    ),
    *((tone, f"{tone}-soft") for tone in ("ok", "warn", "bad", "run", "accent")),
    ("ink-2", "warn-soft"),
    ("ink-2", "bad-soft"),
    ("accent", "warn-soft"),
    ("on-accent", "accent"),
]


@pytest.mark.parametrize(("ink", "ground"), TEXT_ON_GROUND)
def test_text_has_contrast_in_both_themes(ink: str, ground: str) -> None:
    for one, two in zip(_token(ink), _token(ground), strict=True):
        assert _contrast(one, two) >= 4.5


@pytest.mark.parametrize(
    "name", ["control", *(f"kind-{k}" for k in ("caller", "hop", "pool", "node", "llm", "tool"))]
)
def test_marks_and_borders_have_contrast_in_both_themes(name: str) -> None:
    for one, two in zip(_token(name), _token("surface"), strict=True):
        assert _contrast(one, two) >= 3


def test_first_page_stays_small() -> None:
    import gzip

    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*") if path.is_file()}
    assert sum(size for name, size in sizes.items() if name.endswith(".css")) <= 12_000
    assert sum(size for name, size in sizes.items() if name.endswith(".js")) <= 6_000
