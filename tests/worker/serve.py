"""A worker with the registry's graphs and the test graphs: `python -m tests.worker.serve --pool EMAIL --port N`."""

from __future__ import annotations

import sys

from contract.graph_spec import GraphSpec
from contract.registry import GRAPHS
from fleet.worker.__main__ import main

_MODULE = "tests.worker.graphs.asking"
TEST_GRAPHS = (
    GraphSpec(
        "asking",
        _MODULE,
        pool="EMAIL",
        input_shape="probe",
        description="Asks.",
        resumable=True,
        builder_attr="build_asking",
    ),
    GraphSpec(
        "steps",
        _MODULE,
        pool="EMAIL",
        input_shape="probe",
        description="Two steps.",
        resumable=True,
        builder_attr="build_steps",
    ),
    GraphSpec(
        "talking",
        _MODULE,
        pool="EMAIL",
        input_shape="probe",
        description="Talks.",
        resumable=True,
        builder_attr="build_talking",
    ),
    GraphSpec(
        "forgetful",
        _MODULE,
        pool="EMAIL",
        input_shape="probe",
        description="Keeps nothing.",
        builder_attr="build_steps",
    ),
    GraphSpec(
        "broken",
        "tests.worker.graphs.missing",
        pool="EMAIL",
        input_shape="probe",
        description="Does not import.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(specs=(*GRAPHS, *TEST_GRAPHS)))
