"""deep_icp: the ideal customer profile that the customers one has already show, ready for classify_company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="deep_icp.judge",
    instruction=f"""`texts` tell about customers of `product`. Judge what they have in common: "clear" when industry, size, role or trigger recur, "mixed" when the customers fall apart into kinds.
    {JUDGING}""",
    schema=findings_schema(("clear", "mixed"), ("industry", "size", "role", "trigger", "pain")),
)
PROFILE = Prompt(
    name="deep_icp.write_profile",
    instruction="""Write the profile from the findings alone: industries, keywords that such companies use, and the roles that buy.""",
    schema=answer_object(
        profile=answer_object(
            description=text(400), industries=texts(8, 80), keywords=texts(10, 60), roles=texts(6, 80)
        )
    ),
)
SPLIT = Prompt(
    name="deep_icp.split",
    instruction="""The customers fall apart. Name the kinds, each in one sentence that says what sets it apart.""",
    schema=answer_object(segments=texts(6, 250)),
)


class IcpInput(StudyInput, total=False):
    product: str


class IcpOutput(StudyOutput, total=False):
    profile: dict[str, Any]
    segments: list[str]


class IcpState(IcpOutput, StudyState, total=False):
    product: str


STUDY = Study(
    name="deep_icp",
    judge=JUDGE,
    pages=("/customers", "/case-studies"),
    query="{name} customers case study",
    follow_ups={"clear": PROFILE, "mixed": SPLIT},
    state=IcpState,
    input=IcpInput,
    output=IcpOutput,
    extra=("product",),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
