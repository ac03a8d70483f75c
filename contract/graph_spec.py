"""What a graph is to everyone but its own pool: a name, where its builder lives, and the input it takes."""

from __future__ import annotations

from contract.record import Record

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from collections.abc import Mapping

_set = object.__setattr__

#: The namespace in which every LangGraph server derives an assistant's UUID from its graph id.
LANGGRAPH_NAMESPACE = "6ba7b821-9dad-11d1-80b4-00c04fd430c8"


class GraphSpec(Record):
    """One row of the registry. Holds dotted names only: nothing here imports a graph."""

    __slots__ = (
        "assistant_id",  #: the stable public name; unique over the whole platform
        "builder_attr",  #: `build_graph(checkpointer=None)`, what our own workers call
        "compiled_attr",  #: the factory that `fleet/langgraph.json` names
        "description",  #: a paragraph for operators; its first sentence stands alone in lists
        "input_shape",  #: key of `contract.shapes.SHAPES`
        "module",  #: dotted name of the module that builds the graph
        "pool",  #: home pool, upper case
        "resumable",  #: whether threads of it are checkpointed
    )

    assistant_id: str
    module: str
    pool: str
    input_shape: str
    description: str
    resumable: bool
    builder_attr: str
    compiled_attr: str

    def __init__(
        self,
        assistant_id: str,
        module: str,
        *,
        pool: str,
        input_shape: str,
        description: str,
        resumable: bool = False,
        builder_attr: str = "build_graph",
        compiled_attr: str = "graph",
    ) -> None:
        _set(self, "assistant_id", assistant_id)
        _set(self, "module", module)
        _set(self, "pool", pool)
        _set(self, "input_shape", input_shape)
        _set(self, "description", description)
        _set(self, "resumable", resumable)
        _set(self, "builder_attr", builder_attr)
        _set(self, "compiled_attr", compiled_attr)

    @property
    def source_path(self) -> str:
        """The module's file, relative to the root of the checkout."""
        return self.module.replace(".", "/") + ".py"

    @property
    def langgraph_path(self) -> str:
        """How `langgraph.json` names the graph: a dotted module, so that it is the same module object everywhere."""
        return f"{self.module}:{self.compiled_attr}"

    def as_dict(self) -> dict[str, str | bool]:
        return {name: getattr(self, name) for name in self.__slots__}

    def digest(self) -> str:
        """SHA-256 (hex) of the row."""
        return _sha256(_canonical(self.as_dict()))


def graph_digest(spec: GraphSpec, *, source: bytes, input_schema: Mapping[str, object]) -> str:
    """SHA-256 (hex) of row, input schema and module source: what a worker attests it ran."""
    return _sha256(b"\0".join((_canonical(spec.as_dict()), _canonical(dict(input_schema)), source)))


def assistant_uuid(assistant_id: str) -> str:
    """The UUID under which every LangGraph server knows the assistant."""
    import uuid  # two of many callers need it; the import is most of what this module would cost

    return str(uuid.uuid5(uuid.UUID(LANGGRAPH_NAMESPACE), assistant_id))


def unique(specs: tuple[GraphSpec, ...]) -> tuple[GraphSpec, ...]:
    """The rows as given; raises ValueError naming both owners when two share an `assistant_id`."""
    owners: dict[str, GraphSpec] = {}
    for spec in specs:
        first = owners.setdefault(spec.assistant_id, spec)
        if first is not spec:
            raise ValueError(
                f"duplicate assistant_id {spec.assistant_id!r}: "
                f"{first.module} (pool {first.pool}) and {spec.module} (pool {spec.pool})"
            )
    return specs


def _canonical(value: Mapping[str, object]) -> bytes:
    import json  # digests are taken by few; routing must stay cheap to load

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sha256(data: bytes) -> str:
    import hashlib  # as above

    return hashlib.sha256(data).hexdigest()
