"""The digest of a registered graph, taken from its source file: no import of the graph, so anyone may ask."""

from __future__ import annotations

from pathlib import Path

from contract.graph_spec import GraphSpec, graph_digest
from contract.shapes import SHAPES

_ROOT = Path(__file__).resolve().parent.parent


def digest_of(spec: GraphSpec, root: Path = _ROOT) -> str:
    """Return the SHA-256 (64 hex digits) of row, input schema and module source.

    `root` is the folder that holds the top package of `spec.module`.

    Raises:
        FileNotFoundError: No source file stands for the module.
    """
    source = (root / spec.source_path).read_bytes()
    return graph_digest(spec, source=source, input_schema=SHAPES[spec.input_shape])
