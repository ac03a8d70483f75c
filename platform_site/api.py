"""The JSON API at /api: the one place that knows every app's router. Its pages are self-hosted (strict CSP)."""

from __future__ import annotations

from ninja import NinjaAPI

api = NinjaAPI(
    title="Agentic sales platform",
    version="1",
    description="Registry, routing, traces, feedback, campaigns and fleet. A session or an API key opens it.",
)
