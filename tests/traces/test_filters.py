"""The filter language: every text gives terms or an error with a place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces_app.filter_sql import where
from traces_app.filters import FIELDS, FilterError, parse

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_example_of_the_documentation() -> None:
    terms = parse(
        'assistant:x status:error latency:>2s cost:>0.01 has:finding -assistant:y "free text"', now=NOW
    )
    assert [(t.field, t.op, t.value, t.negated) for t in terms] == [
        ("assistant", "=", "x", False),
        ("status", "=", "error", False),
        ("latency", ">", 2.0, False),
        ("cost", ">", Decimal("0.01"), False),
        ("has", "=", "finding", False),
        ("assistant", "=", "y", True),
        ("text", "=", "free text", False),
    ]


def test_times_keys_and_quotes() -> None:
    since, meta, feedback = parse(r'since:24h meta.tenant:"a \"b\" c" feedback.user_score:<=0.5', now=NOW)
    assert since.value == NOW - timedelta(hours=24)
    assert (meta.key, meta.value) == ("tenant", 'a "b" c')
    assert (feedback.key, feedback.op, feedback.value) == ("user_score", "<=", Decimal("0.5"))


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("status:ok assistnat:x", 10, "did you mean 'assistant'"),
        ("status:eror", 7, "did you mean 'error'"),
        ("latency:>soon", 8, "a duration"),
        ("cost:NaN", 5, "an amount"),
        ("tokens:-1", 7, "a whole number"),
        ("pool:>CORE", 5, "has no order"),
        ('name:"open', 5, "not closed"),
        ("pool:", 5, "needs a value"),
        ("meta:x", 0, "meta.KEY:value"),
        ("meta.:x", 0, "meta.KEY:value"),
        ("pool.:x", 0, "pool:value"),
        ("pool.x:y", 0, "pool:value"),
        ("since:yesterday", 6, "24h"),
        ("-", 0, "minus"),
        ("x " * 40, 61, "at most 30"),
    ],
)
def test_an_error_names_its_place_and_what_was_meant(text: str, position: int, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert caught.value.position == position
    assert said in str(caught.value)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*FIELDS, ":", ">", '"', "-", " ", "x", "1", "."])).map("".join)
)
def test_any_text_gives_terms_or_an_error(text: str) -> None:
    try:
        terms = parse(text, now=NOW)
    except FilterError as error:
        place = error.position
        assert 0 <= place <= max(len(text), 2000)
        return
    condition, values = where(terms)
    assert condition.count("%s") == len(values)
