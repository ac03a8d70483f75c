"""The one internal form: whatever door something came through, it is one of these before anything else happens.

Ids are 16 raw bytes; times are whole microseconds since 1970 (UTC), which may be before 1970 or far in the future:
the sender's clock is evidence, not an error.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

import msgspec
from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    from decimal import Decimal


class Kind(IntEnum):
    """What a part is. The order is the order of merging: what is later says more."""

    POST = 0
    PATCH = 1
    SPAN = 2


class Status(IntEnum):
    """How a run stands; a larger value says more."""

    RUNNING = 0
    OK = 1
    ERROR = 2


class RunPart(msgspec.Struct, gc=False):
    """A post, a patch or a span: what one message said about one run. Unknown is None or ""."""

    trace_id: bytes
    run_id: bytes
    kind: int
    #: 64 bits over what was sent; the same message again has the same digest.
    digest: int
    #: error, tags, metadata, w3c (trace, span, parent hex), dotted_order, attachments.
    facts: dict[str, Any]
    #: inputs, outputs, events, extra, error, serialized: JSON values or `orjson.Fragment`s.
    payload: dict[str, Any]
    parent_id: bytes | None = None
    name: str = ""
    run_type: str = ""
    project: str = ""
    start: int | None = None
    end: int | None = None
    status: int = Status.RUNNING
    assistant_id: str = ""
    pool: str = ""
    routing_version: int | None = None
    thread_id: str = ""
    model: str = ""
    provider: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    first_token: int | None = None
    #: True when this run is the root of a graph a pool ran (it carries its own id in its metadata).
    graph_root: bool = False
    #: The chunk that holds facts and payload, and the place in it; set when the chunk is packed.
    chunk_id: int = 0
    slot: int = 0

    @property
    def key(self) -> tuple[bytes, int, int]:
        """What makes a part the same part: its run, its kind and its content."""
        return (self.run_id, self.kind, self.digest)


class Attachment(msgspec.Struct, kw_only=True):
    """A file that came with a run."""

    trace_id: bytes
    run_id: bytes
    name: str
    content_type: str
    data: bytes


class Chunk(msgspec.Struct, kw_only=True, gc=False):
    """What one request said at length about one trace: two compressed JSON lists, one place for each part.

    Tags and labels are what its parts bring to the head of their trace.
    """

    trace_id: bytes
    chunk_id: int
    facts: bytes
    payload: bytes
    tags: set[str]
    labels: set[str]


class Quarantined(msgspec.Struct, kw_only=True):
    """An item that could not be stored, why, and a readable piece of it."""

    door: str
    reason: str
    item: str = ""
    excerpt: str = ""

    def digest(self) -> bytes:
        """16 bytes that are the same when the same item is refused again for the same reason."""
        text = "\0".join((self.door, self.reason, self.item, self.excerpt))
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


class Copy(msgspec.Struct, kw_only=True):
    """A trace of OTLP copies the LangSmith SDK makes of runs. Root fields are known once its root has come."""

    trace_id: bytes
    project: str = ""
    name: str = ""
    start: int | None = None


class Bundle(msgspec.Struct, kw_only=True):
    """All that one request brings to the store."""

    parts: list[RunPart] = []
    attachments: list[Attachment] = []
    quarantined: list[Quarantined] = []
    #: `feedback_app.store.FeedbackRecord`s; the store hands them on in the same transaction.
    feedback: list[Any] = []
    chunks: list[Chunk] = []
    copies: list[Copy] = []

    def add(self, other: Bundle) -> None:
        """Take in all that another brings."""
        for name in self.__struct_fields__:
            if brought := getattr(other, name):
                getattr(self, name).extend(brought)


def digest64(*pieces: bytes | bytearray) -> int:
    """Return a signed 64-bit digest of the pieces, boundaries included.

    Quick and no more: a sender who looks for two messages about one run with the same digest loses its own second one.
    """
    digest = 0
    for piece in pieces:
        digest = xxh3_64_intdigest(piece, digest)
    return digest - 2**64 if digest >= 2**63 else digest


_marked = Struct("!6sBsB7s")  # a UUID by the bytes that tell its version and variant
_span_hash = hashlib.blake2b(digest_size=16, person=b"otlp-run")


@lru_cache(maxsize=512)  # a parent is named by each of its children
def run_id_of_span(trace_id: bytes, span_id: bytes) -> bytes:
    """Return the run id that stands for a W3C span: the same for the same (trace, span) everywhere."""
    own = _span_hash.copy()
    own.update(trace_id + span_id)
    first, version, between, variant, last = _marked.unpack(own.digest())
    return _marked.pack(
        first, version & 0x0F | 0x80, between, variant & 0x3F | 0x80, last
    )  # version 8: made by us


@lru_cache(maxsize=4096)  # a trace and a parent are named by each of their rows
def uuid_text(raw: bytes) -> str:
    """Return the 16 bytes as a lower-case UUID."""
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def uuid_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID in its usual form. Raises ValueError."""
    usual = len(text) == 36 and text[8:24:5] == "----"
    raw = bytes.fromhex(text.replace("-", "")) if usual else b""
    if len(raw) != 16:  # blanks are passed over by `fromhex`, and would be an error of the database
        raise ValueError("must be a UUID")
    return raw


__all__ = [
    "Attachment",
    "Bundle",
    "Chunk",
    "Copy",
    "Kind",
    "Quarantined",
    "RunPart",
    "Status",
    "digest64",
    "run_id_of_span",
    "uuid_bytes",
    "uuid_text",
]
