"""linkedin_post_score: is a post a reason to talk to its author? If so, the comment that starts the talk."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.evidence import stands_in
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update
from fleet.kit.text import section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Part → its share of the score. The model rates relevance and urgency; reach is counted, the sum is ours.
WEIGHTS = {"relevance": 0.5, "urgency": 0.35, "reach": 0.15}
#: Kinds of post that open a talk; the others are read and left.
OPENINGS = ("need", "change", "hiring")
ENGAGE_FROM = 40
#: So many reactions and comments count as the widest reach.
WIDEST = 1_000

RATE = Prompt(
    name="linkedin_post_score.rate",
    instruction="""Say what the post is: need (its author names a problem or asks for a recommendation), change (a launch, a
    move, funding, a new job), hiring, opinion, promotion (sells something itself), other. Rate from 0 to 1 how near it is to
    the offer (`relevance`; to selling to businesses when no offer is given) and how soon its author will act (`urgency`).
    `evidence` is the sentence that shows it, word for word.""",
    schema=answer_object(
        kind=choice(*OPENINGS, "opinion", "promotion", "other"),
        confidence=share(),
        relevance=share(),
        urgency=share(),
        evidence=text(400, min_length=0),
    ),
)
COMMENT = Prompt(
    name="linkedin_post_score.comment",
    instruction="""Write the comment a person would leave under the post: at most two sentences, about the evidence, one honest
    question, nothing sold and nothing claimed. Then say in one sentence what to do after it.""",
    schema=answer_object(comment=text(500), next_step=text(300)),
)


class PostInput(TypedDict, total=False):
    post: dict[str, Any]
    offer: dict[str, Any]


class PostOutput(ModelFacts, total=False):
    #: need, change, hiring, opinion, promotion, other, or unproven when the quote does not stand in the post.
    kind: str
    confidence: float
    #: 0 to 100.
    score: int
    parts: dict[str, float]
    evidence: str
    #: engage or leave.
    decision: str
    comment: str
    next_step: str


class PostState(PostOutput, total=False):
    post: dict[str, Any]
    offer: dict[str, Any]


async def rate(state: PostState) -> Update:
    post = section(state.get("post"))
    if not str(post.get("text") or "").strip():
        raise LangGraphError("post/text: give the text of the post", kind="client")
    answer = await ask(RATE, post=post, offer=section(state.get("offer")))
    data = answer.data
    parts = {"relevance": data["relevance"], "urgency": data["urgency"], "reach": _reach(post)}
    proven = stands_in(data["evidence"], str(post["text"]))
    score = round(100 * sum(WEIGHTS[part] * parts[part] for part in WEIGHTS)) if proven else 0
    return {
        "kind": data["kind"] if proven or data["kind"] == "other" else "unproven",
        "confidence": data["confidence"] if proven else 0.0,
        "evidence": data["evidence"] if proven else "",
        "parts": parts,
        "score": score,
        **answer.facts(),
    }


def after_rating(state: PostState) -> Literal["write_comment", "leave"]:
    return "write_comment" if state["kind"] in OPENINGS and state["score"] >= ENGAGE_FROM else "leave"


async def write_comment(state: PostState) -> Update:
    answer = await ask(COMMENT, post=state["post"], kind=state["kind"], evidence=state["evidence"])
    return {"decision": "engage", **answer.data, **answer.facts()}


def leave(state: PostState) -> Update:
    reason = f"it scores {state['score']}" if state["kind"] in OPENINGS else f"it is {_named(state['kind'])}"
    return {"decision": "leave", "next_step": f"leave the post: {reason}"}


def _reach(post: dict[str, Any]) -> float:
    """How far the post went, from 0 to 1 on a logarithmic scale; a comment counts as three reactions."""
    counted = sum(
        weight * max(0, number)
        for name, weight in (("reactions", 1), ("comments", 3))
        if isinstance(number := post.get(name), int)
    )
    return round(min(1.0, log10(1 + counted) / log10(1 + WIDEST)), 2)


def _named(kind: str) -> str:
    names = {"opinion": "an opinion", "promotion": "an advertisement", "unproven": "not shown to be a reason"}
    return names.get(kind, "no reason to write")


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(PostState, input_schema=PostInput, output_schema=PostOutput)
    graph.add_node("rate", rate)
    graph.add_node("write_comment", write_comment)
    graph.add_node("leave", leave)
    graph.add_edge(START, "rate")
    graph.add_conditional_edges("rate", after_rating, ["write_comment", "leave"])
    graph.add_edge("write_comment", END)
    graph.add_edge("leave", END)
    return graph.compile(checkpointer=checkpointer, name="linkedin_post_score")


graph = served(build_graph)
