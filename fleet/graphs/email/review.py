"""What every e-mail graph does after its draft: a critique, and a refinement when the critique asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text, texts
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph.graph import StateGraph

LETTER = answer_object(subject=text(120), body=text(4000))

CRITIQUE = Prompt(
    name="email.critique",
    instruction="""You edit sales e-mails for a demanding reader. Criticise the draft: is it short, about the reader,
    free of filler and pressure, with one clear question, and is every claim and figure backed by the given facts?
    The verdict is "good" when you would send it as it is, else "revise". List each issue in a few words.""",
    schema=answer_object(verdict=choice("good", "revise"), score=share(), issues=texts()),
)
REFINE = Prompt(
    name="email.refine",
    instruction="""Rewrite the draft so that every issue of the critique is gone. Keep what was good, keep the language
    of the draft, stay under 120 words, and add no fact that is not given.""",
    schema=LETTER,
)


class EmailState(ModelFacts, total=False):
    """What the e-mail graphs share: who writes to whom about what, and the versions of the text."""

    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    tone: str
    #: Mails of ours that went before, oldest first.
    previous: list[dict[str, Any]]
    #: The mail to answer, and what may be said in answer.
    message: dict[str, Any]
    answers: list[str]
    #: What happened lately, what is asked for and what we can show for it: in the graphs that take them.
    signals: list[str]
    opportunity: dict[str, Any]
    skills: list[str]
    draft: dict[str, str]
    critique: dict[str, Any]
    refined: bool
    subject: str
    body: str


class EmailOutput(ModelFacts, total=False):
    """The text to send, and how it came to be."""

    subject: str
    body: str
    draft: dict[str, str]
    critique: dict[str, Any]
    refined: bool


def letter_facts(state: EmailState) -> dict[str, Any]:
    """All a letter may be based on: writer, critic and editor see the same."""
    further = {
        "signals": state.get("signals"),
        "opportunity": state.get("opportunity"),
        "skills": state.get("skills"),
    }
    return {
        **{key: value for key, value in further.items() if value},
        "contact": state.get("contact") or {},
        "company": state.get("company") or {},
        "offer": state.get("offer") or {},
        "sender": state.get("sender") or {},
        "tone": state.get("tone") or "friendly",
        "previous": state.get("previous") or [],
        "message": state.get("message") or {},
        "answers": state.get("answers") or [],
    }


async def after_critique(state: EmailState) -> Literal["refine", "keep"]:
    return "refine" if state["critique"]["verdict"] == "revise" else "keep"


def letter(state: EmailState, text: dict[str, Any]) -> Update:
    """What is known once the text of a letter is final."""
    return {"subject": text["subject"], "body": text["body"]}


def add_review(
    graph: StateGraph[Any, Any, Any, Any],
    *,
    draft: str,
    then: str = "__end__",
    done: Callable[[Any, dict[str, Any]], Update] = letter,
) -> None:
    """Put the critique after the node `draft`, and `then` after the text that came out of it, which is `done`."""

    async def critique(state: EmailState) -> Update:
        """A draft that is good is the letter."""
        answer = await ask(CRITIQUE, **letter_facts(state), draft=state["draft"])
        good = answer.data["verdict"] == "good"
        kept = {**done(state, state["draft"]), "refined": False} if good else {}
        return {"critique": answer.data, **kept, **answer.facts()}

    async def refine(state: EmailState) -> Update:
        facts = {**letter_facts(state), "draft": state["draft"], "critique": state["critique"]}
        answer = await ask(REFINE, **facts)
        return {**done(state, answer.data), "refined": True, **answer.facts()}

    whole = graph.state_schema  # `done` may read all of it
    graph.add_node("critique", critique, input_schema=whole)
    graph.add_node("refine", refine, input_schema=whole)
    graph.add_edge(draft, "critique")
    graph.add_conditional_edges("critique", after_critique, {"refine": "refine", "keep": then})
    graph.add_edge("refine", then)
