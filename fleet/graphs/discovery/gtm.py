"""gtm: how a company goes to market, and how to meet it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="gtm.judge",
    instruction=f"""Judge how the company wins customers: "product_led" when people start by themselves, "sales_led" when they talk to sales, "partner_led" when others sell for it.
    {JUDGING}""",
    schema=findings_schema(
        ("product_led", "sales_led", "partner_led"),
        ("self_serve", "sales_contact", "partners", "community", "proof"),
    ),
)
PRODUCT = Prompt(
    name="gtm.meet_users",
    instruction="""It is led by its product. Say whom to reach and through what, from the findings.""",
    schema=answer_object(approach=text(400), first_contact=text(120)),
)
SALES = Prompt(
    name="gtm.meet_sales",
    instruction="""It is led by sales. Say whom to reach and with what occasion, from the findings.""",
    schema=answer_object(approach=text(400), first_contact=text(120)),
)
PARTNERS = Prompt(
    name="gtm.meet_partners",
    instruction="""It is led by partners. Say how to come in beside them, from the findings.""",
    schema=answer_object(approach=text(400), first_contact=text(120)),
)


class GtmOutput(StudyOutput, total=False):
    approach: str
    first_contact: str


class GtmState(GtmOutput, StudyState, total=False):
    """Input, output and evidence in one."""


STUDY = Study(
    name="gtm",
    judge=JUDGE,
    pages=("/pricing", "/partners", "/customers"),
    query="{name} customers partners free trial demo",
    follow_ups={"product_led": PRODUCT, "sales_led": SALES, "partner_led": PARTNERS},
    state=GtmState,
    input=StudyInput,
    output=GtmOutput,
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
