"""company_problems: which difficulties a company shows, and which of them the offer speaks to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="company_problems.judge",
    instruction=f"""Judge which difficulties the company shows in its own words or in what is said of it: "clear" when there is at least one that someone could help with, "none" when the texts show none.
    {JUDGING}""",
    schema=findings_schema(("clear", "none"), ("hiring", "manual_work", "growth", "cost", "risk", "quality")),
)
RANK = Prompt(
    name="company_problems.rank",
    instruction="""Put the difficulties in the order in which the offer (any business product when none is given) speaks to them, each in one sentence, and give the sentence to open a conversation with.""",
    schema=answer_object(problems=texts(6, 250), opening=text(300)),
)


class ProblemsInput(StudyInput, total=False):
    offer: dict[str, Any]


class ProblemsOutput(StudyOutput, total=False):
    problems: list[str]
    opening: str


class ProblemsState(ProblemsOutput, StudyState, total=False):
    offer: dict[str, Any]


STUDY = Study(
    name="company_problems",
    judge=JUDGE,
    pages=("/careers", "/jobs", "/blog"),
    query="{name} hiring problems outage complaints",
    follow_ups={"clear": RANK},
    state=ProblemsState,
    input=ProblemsInput,
    output=ProblemsOutput,
    extra=("offer",),
    negative=frozenset({"none"}),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
