"""company_enrichment: fill what is not known of a company from what it says itself and what the web says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="company_enrichment.judge",
    instruction=f"""Judge whether the texts tell enough to describe the company: "enriched" when at least two topics are found, "thin" when one is.
    {JUDGING}""",
    schema=findings_schema(
        ("enriched", "thin"), ("industry", "size", "location", "founded", "customers", "product")
    ),
)
FILL = Prompt(
    name="company_enrichment.fill",
    instruction="""Fill the fields from the findings alone, in the words of the text; "" for what they do not say.""",
    schema=answer_object(
        profile=answer_object(
            industry=text(200, min_length=0),
            employees=text(80, min_length=0),
            location=text(120, min_length=0),
            founded=text(20, min_length=0),
            summary=text(400),
        )
    ),
)
ASK = Prompt(
    name="company_enrichment.list_open",
    instruction="""Little is known. List what to find out next and where it may stand.""",
    schema=answer_object(open_points=texts(6, 200)),
)


class EnrichmentOutput(StudyOutput, total=False):
    profile: dict[str, str]
    open_points: list[str]


class EnrichmentState(EnrichmentOutput, StudyState, total=False):
    """Input, output and evidence in one."""


STUDY = Study(
    name="company_enrichment",
    judge=JUDGE,
    pages=("/about", "/customers", "/contact"),
    query="{name} company employees headquarters founded",
    follow_ups={"enriched": FILL, "thin": ASK},
    state=EnrichmentState,
    input=StudyInput,
    output=EnrichmentOutput,
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
