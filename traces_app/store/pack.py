"""Chunks: what one request says at length about one trace, compressed together.

Spans of one trace repeat each other (system prompts, metadata), so a trace compressed as a whole takes less than
half of the room its spans would take one by one, and a list never has to read it.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import Any

import orjson
import zstandard

from traces_app.store.labels import labels_of, tags_of
from traces_app.store.records import Chunk, RunPart

_MAX_CHUNK = 1 << 30
_SURE_DEPTH = 200  # fewer brackets than this cannot be too deep
_AROUND = 10  # levels that may stand around a value
# Level 1 with twice the table it takes for a trace of usual size: 2 % smaller, and still within the processor's cache.
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    1, hash_log=14, min_match=6, write_content_size=True
)
_compressor = zstandard.ZstdCompressor(compression_params=_PARAMETERS)
_part_id = Struct("!16sBq").pack
_decompressor = zstandard.ZstdDecompressor()


def dump(value: Any) -> bytes:
    """Return JSON bytes. Raises TypeError on what JSON cannot say."""
    return orjson.dumps(value)


def nested_too_deeply(item: bytes, value: Any) -> bool:
    """Whether a value, as JSON and as what it says, is nested more deeply than it could be written again.

    Writing stops at 254 levels, and whatever shows the value puts some around it.
    """
    if item.count(b"[") + item.count(b"{") < _SURE_DEPTH:
        return False
    for _ in range(_AROUND):
        value = [value]
    try:
        dump(value)
    except TypeError:
        return True
    return False


def opened(value: Any) -> Any:
    """Return a text that is an object or a list as what it says, anything else as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def pack(parts: list[RunPart], facts: bytes, payload: bytes) -> Chunk:
    """Compress the lists of facts and payloads of one trace's parts, and write the place of each into its part."""
    said = b"".join([_part_id(part.run_id, part.kind, part.digest) for part in parts])
    chunk_id = int.from_bytes(blake2b(said, digest_size=8).digest(), "big", signed=True)
    tags = tags_of(parts)
    chunk = Chunk(
        trace_id=parts[0].trace_id,
        chunk_id=chunk_id,
        facts=_compressor.compress(facts),
        payload=_compressor.compress(payload),
        tags=tags,
        labels=labels_of(parts, tags),
    )
    nothing: dict[str, Any] = {}
    for slot, part in enumerate(parts):
        part.chunk_id, part.slot = chunk_id, slot
        part.facts = part.payload = nothing  # what waits for its commit waits in the chunk alone
    return chunk


def unpack(blob: bytes) -> list[dict[str, Any]]:
    """Return the list a chunk holds: one object for each part."""
    items: list[dict[str, Any]] = orjson.loads(_decompressor.decompress(blob, max_output_size=_MAX_CHUNK))
    return items
