"""The dispatcher on its own: `uvicorn routing_app.dispatcher.main:app --http fleet.kit.door:Door --no-proxy-headers`."""

from __future__ import annotations

from routing_app.dispatcher.asgi import Dispatcher
from routing_app.dispatcher.config import current

app = Dispatcher(current())
