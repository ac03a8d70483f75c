"""The JSON API at /api: the one place that knows every app's router. Its pages are self-hosted (strict CSP)."""

from __future__ import annotations

from campaigns_app.api import router as campaigns
from feedback_app.api import router as feedback
from platform_site.openapi import Api
from registry_app import api_errors
from registry_app.api import router as registry
from registry_app.auth import for_readers
from routing_app.api import router as routing
from routing_app.fleet_api import router as fleet
from traces_app.api import diagnostics
from traces_app.api import router as traces

api = Api(
    title="Agentic sales platform",
    version="1",
    description="Registry, routing, traces, feedback, campaigns and fleet. A session or an API key opens it.",
    docs_decorator=for_readers,
)

api_errors.install(api)
api.add_router("/registry/", registry)
api.add_router("/routing/", routing)
api.add_router("/campaigns", campaigns)
api.add_router("/feedback", feedback)
api.add_router("/traces", traces)
api.add_router("/diagnostics", diagnostics)
api.add_router("/fleet", fleet)
