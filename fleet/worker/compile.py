"""Compile the graphs of one pool; one that fails is reported and does not stop the others."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from contract.graph_digest import digest_of
from contract.graph_spec import GraphSpec, assistant_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("fleet.worker")


@dataclass(frozen=True)
class CompiledGraph:
    """A graph of this pool, ready to run. `graph` has no checkpointer."""

    spec: GraphSpec
    graph: Any
    digest: str

    @property
    def assistant_id(self) -> str:
        return self.spec.assistant_id

    @cached_property
    def uuid(self) -> str:
        return assistant_uuid(self.spec.assistant_id)


@dataclass(frozen=True)
class FailedGraph:
    """A graph of this pool that did not compile, and why."""

    spec: GraphSpec
    error: str
    digest: str


class Catalogue:
    """The graphs one worker serves, found by name or by assistant UUID."""

    def __init__(
        self,
        compiled: Iterable[CompiledGraph],
        failed: Iterable[FailedGraph] = (),
        elsewhere: Iterable[GraphSpec] = (),
    ) -> None:
        self.compiled = tuple(compiled)
        self.failed = tuple(failed)
        self._by_name = {entry.assistant_id: entry for entry in self.compiled}
        self._by_uuid = {entry.uuid: entry for entry in self.compiled}
        self._failed = {key: entry for entry in self.failed for key in _keys(entry.spec)}
        self._elsewhere = {key for spec in elsewhere for key in _keys(spec)}

    def find(self, assistant_id: str) -> CompiledGraph | None:
        """Return the graph named so, or with that assistant UUID, or None."""
        return self._by_name.get(assistant_id) or self._by_uuid.get(assistant_id)

    def find_uuid(self, uuid: str) -> CompiledGraph | None:
        return self._by_uuid.get(uuid)

    def failure(self, assistant_id: str) -> FailedGraph | None:
        return self._failed.get(assistant_id)

    def is_elsewhere(self, assistant_id: str) -> bool:
        """Return whether the graph is registered, but for another pool."""
        return assistant_id in self._elsewhere

    def report(self) -> list[dict[str, Any]]:
        """Return what `/_ml/graphs` says of each graph, in the registry's order of compiled, then failed."""
        good = [_row(entry.spec, entry.digest, None) for entry in self.compiled]
        return good + [_row(entry.spec, entry.digest, entry.error) for entry in self.failed]


def compile_pool(pool: str, specs: Iterable[GraphSpec]) -> Catalogue:
    """Compile every graph of `pool`."""
    compiled: list[CompiledGraph] = []
    failed: list[FailedGraph] = []
    elsewhere: list[GraphSpec] = []
    for spec in specs:
        if spec.pool != pool:
            elsewhere.append(spec)
            continue
        entry = _compile(spec)
        if isinstance(entry, CompiledGraph):
            compiled.append(entry)
        else:
            log.error("graph %s did not compile: %s", spec.assistant_id, entry.error)
            failed.append(entry)
    return Catalogue(compiled, failed, elsewhere)


def _compile(spec: GraphSpec) -> CompiledGraph | FailedGraph:
    digest = ""
    try:
        digest = digest_of(spec)
        graph = getattr(import_module(spec.module), spec.builder_attr)()
        graph.name = spec.assistant_id
    except Exception as error:
        log.debug("compiling %s", spec.assistant_id, exc_info=True)
        return FailedGraph(spec, f"{type(error).__name__}: {error}", digest)
    return CompiledGraph(spec, graph, digest)


def _keys(spec: GraphSpec) -> tuple[str, str]:
    return spec.assistant_id, assistant_uuid(spec.assistant_id)


def _row(spec: GraphSpec, digest: str, error: str | None) -> dict[str, Any]:
    return {"assistant_id": spec.assistant_id, "graph_digest": digest, "ok": error is None, "error": error}
