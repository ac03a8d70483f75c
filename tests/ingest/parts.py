"""Parts as a decoder would make them."""

from __future__ import annotations

import uuid
from typing import Any

from traces_app.ingest.redact import Redactor
from traces_app.ingest.seal import seal
from traces_app.store.records import Bundle, RunPart, digest64

REDACTOR = Redactor()


def make_part(**given: Any) -> RunPart:
    """Return a root post of a new trace, with what is given in place of the defaults."""
    run_id = given.pop("run_id", None) or uuid.uuid4().bytes
    values: dict[str, Any] = {
        "trace_id": run_id,
        "run_id": run_id,
        "kind": 0,
        "digest": digest64(repr(sorted(given.items())).encode()),
        "name": "run",
        "run_type": "chain",
        "project": "p",
        "start": 1_000_000,
        "facts": {"metadata": {"k": "v"}},
        "payload": {"inputs": {"q": 1}},
    }
    return RunPart(**{**values, **given})


def sealed(bundle: Bundle) -> Bundle:
    """Return the bundle as it goes to the store."""
    return seal(bundle, REDACTOR)


#: A value under a forbidden key, and a value that looks like a credential.
CANARIES = ("canary-under-a-key-4711", "sk-canary" + "A1b2C3d4" * 4)
