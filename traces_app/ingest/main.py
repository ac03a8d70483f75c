"""Ingest alone: `uvicorn traces_app.ingest.main:app --http fleet.kit.door:Door`."""

from __future__ import annotations

import os

from traces_app.ingest.asgi import Ingest
from traces_app.ingest.config import IngestConfig

app = Ingest(IngestConfig.from_env(os.environ))
