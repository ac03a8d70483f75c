"""Input shapes of the graphs of pool DISCOVERY."""

from __future__ import annotations

from contract.shape_parts import NAME, fields, shape

DISCOVERY_SHAPES: dict[str, dict[str, object]] = {
    "gh_lead_research": shape(
        "The GitHub organisation of a company to research",
        fields(
            "org",
            org={**NAME, "description": "its name, or its address on GitHub"},
            max_repos={"type": "integer", "minimum": 1, "maximum": 20, "default": 8},
            max_people={"type": "integer", "minimum": 1, "maximum": 10, "default": 5},
        ),
        {"org": "pydantic"},
        {"org": "https://github.com/langchain-ai", "max_repos": 3, "max_people": 2},
    ),
}
