"""The input shapes of the fleet as JSON Schema 2020-12. The first example of each must run with no key, model or network."""

from __future__ import annotations

from contract.shapes_classify import CLASSIFY_SHAPES
from contract.shapes_core import CORE_SHAPES
from contract.shapes_discovery import DISCOVERY_SHAPES
from contract.shapes_email import EMAIL_SHAPES

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any

SHAPES: dict[str, dict[str, Any]] = {**EMAIL_SHAPES, **CLASSIFY_SHAPES, **DISCOVERY_SHAPES, **CORE_SHAPES}
