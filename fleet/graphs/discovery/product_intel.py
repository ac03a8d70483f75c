"""product_intel: what a company sells, what it can do, whom it is for and what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="product_intel.judge",
    instruction=f"""Judge what the company sells: "product" when it can be named and described, "service" when people do the work.
    {JUDGING}""",
    schema=findings_schema(
        ("product", "service"), ("product", "capability", "audience", "integration", "service", "proof")
    ),
)
DESCRIBE = Prompt(
    name="product_intel.describe",
    instruction="""Describe the product from the findings: one sentence, its capabilities, and what it connects to.""",
    schema=answer_object(summary=text(400), capabilities=texts(8, 200), integrations=texts(8, 200)),
)
SERVICE = Prompt(
    name="product_intel.describe_service",
    instruction="""Describe the service from the findings: one sentence, and for whom the work is done.""",
    schema=answer_object(summary=text(400), served=texts(8, 200)),
)


class ProductOutput(StudyOutput, total=False):
    summary: str
    capabilities: list[str]
    integrations: list[str]
    served: list[str]


class ProductState(ProductOutput, StudyState, total=False):
    """Input, output and evidence in one."""


STUDY = Study(
    name="product_intel",
    judge=JUDGE,
    pages=("/product", "/features", "/integrations"),
    query="{name} product features integrations",
    follow_ups={"product": DESCRIBE, "service": SERVICE},
    state=ProductState,
    input=StudyInput,
    output=ProductOutput,
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
