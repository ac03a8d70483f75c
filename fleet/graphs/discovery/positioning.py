"""positioning: what a company says it is, for whom, against what; and what its words leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="positioning.judge",
    instruction=f"""Judge the positioning: "sharp" when category, audience and difference can be told from its own words, "blurred" when one of them cannot.
    {JUDGING}""",
    schema=findings_schema(
        ("sharp", "blurred"), ("category", "audience", "alternative", "difference", "claim")
    ),
)
STATE = Prompt(
    name="positioning.state_it",
    instruction="""Write its positioning in one sentence: for whom, what it is, what it does, unlike what. Use the findings alone.""",
    schema=answer_object(statement=text(500)),
)
GAPS = Prompt(
    name="positioning.list_gaps",
    instruction="""Name what its words leave open, and the question each gap raises for a buyer.""",
    schema=answer_object(gaps=texts(5, 250)),
)


class PositioningOutput(StudyOutput, total=False):
    statement: str
    gaps: list[str]


class PositioningState(PositioningOutput, StudyState, total=False):
    """Input, output and evidence in one."""


STUDY = Study(
    name="positioning",
    judge=JUDGE,
    pages=("/about", "/product"),
    query="{name} what is it for alternative to",
    follow_ups={"sharp": STATE, "blurred": GAPS},
    state=PositioningState,
    input=StudyInput,
    output=PositioningOutput,
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
