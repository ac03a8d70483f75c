"""Reducers and the state every model-using graph shares."""

from __future__ import annotations

from typing import Annotated, Any

from typing_extensions import TypedDict

#: What a node returns: the keys of the state that change.
Update = dict[str, Any]


def add_usage(left: dict[str, int] | None, right: dict[str, int] | None) -> dict[str, int]:
    """Sum token counts key by key."""
    total = dict(left or {})
    for key, count in (right or {}).items():
        total[key] = total.get(key, 0) + count
    return total


def merge(left: dict[str, str] | None, right: dict[str, str] | None) -> dict[str, str]:
    """Union of two dicts; the newer value wins."""
    return {**(left or {}), **(right or {})}


def extend(left: list[str] | None, right: list[str] | None) -> list[str]:
    """Append what is not there yet, in order."""
    known = list(left or [])
    return known + [item for item in dict.fromkeys(right or []) if item not in known]


def newest(left: str | None, right: str | None) -> str:
    """The later of two values, also when several nodes of one step write it."""
    return right or left or ""


class ModelFacts(TypedDict, total=False):
    """Which model answered, with which prompts, at what cost: part of every such graph's output."""

    #: `offline-rules` or `<provider>:<model>`; "" when none was asked.
    model: Annotated[str, newest]
    #: Prompt name → content hash.
    prompts: Annotated[dict[str, str], merge]
    #: `input_tokens`, `output_tokens`, `total_tokens`, summed over all calls of the run.
    usage: Annotated[dict[str, int], add_usage]
