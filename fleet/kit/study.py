"""The shape that studies of one company share: sources → evidence → judgement → what follows from the verdict.

gather ─ nothing to read ─────────────────────────────► end (verdict `unknown`)
   └► judge ─ `needs_more`, once ─► dig ─► judge
        └─ a verdict with a follow-up ─► its node ────► end

A graph names its prompts, its pages and its search; nothing else is its own. A finding counts only when its quote
stands in the evidence; a verdict that rests on no finding is `unproven`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.evidence import Evidence, collect, found_in, from_search, from_website, given, numbered
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: A study's state has fields of its own, so its nodes take any.
State = dict[str, Any]
Node = Any  # LangGraph's own protocol for it cannot be named
NEEDS_MORE, UNKNOWN, UNPROVEN = "needs_more", "unknown", "unproven"
#: Characters of evidence a model is shown, over all texts.
MOST_TEXT = 60_000
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")


class StudyInput(TypedDict, total=False):
    company: dict[str, Any]
    #: Texts the caller has already: pages, posts, notes.
    texts: list[str]


class StudyOutput(ModelFacts, total=False):
    #: One of the study's verdicts; `needs_more`, `unproven` or `unknown` when the evidence does not carry one.
    verdict: str
    #: `topic`, `quote`, `source`, `url`: each quote stands in its source.
    findings: list[dict[str, str]]
    #: Quotes of the model that stand nowhere.
    rejected: list[str]
    #: Where texts came from.
    sources: list[str]
    missing: Annotated[list[str], extend]
    partial: bool


class StudyState(StudyOutput, total=False):
    company: dict[str, Any]
    texts: list[str]
    evidence: list[Evidence]
    look_for: str
    dug: bool


@dataclass(frozen=True, slots=True)
class Study:
    """What sets one study apart from the others."""

    name: str
    judge: Prompt
    #: Pages read beside the home page.
    pages: tuple[str, ...]
    #: What to search for; `{name}` is the company's.
    query: str
    #: Verdict → what to work out next; the answer's fields become fields of the output.
    follow_ups: Mapping[str, Prompt]
    state: type = StudyState
    input: type = StudyInput
    output: type = StudyOutput
    #: Fields of the input that the prompts see beside the company.
    extra: tuple[str, ...] = ()
    #: Verdicts that say something is not there, and so rest on no finding.
    negative: frozenset[str] = field(default_factory=frozenset)


def findings_schema(verdicts: tuple[str, ...], topics: tuple[str, ...]) -> dict[str, Any]:
    """The answer of a judgement: a verdict, quotes by topic, and what to search for when they do not suffice."""
    finding = answer_object(topic=choice(*topics), quote=text(400))
    return answer_object(
        verdict=choice(*verdicts, NEEDS_MORE),
        findings={"type": "array", "items": finding, "maxItems": 24},
        look_for=text(200, min_length=0),
    )


JUDGING = """`evidence` are the texts we have. Each finding is a topic and a short quote, word for word, from one of them.
Answer "needs_more" when the texts do not decide it, with `look_for` as words to search the web with ("" otherwise)."""


def build_study(
    study: Study, checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph: StateGraph[Any, Any, Any, Any] = StateGraph(
        study.state, input_schema=study.input, output_schema=study.output
    )
    follow_ups = {prompt.name.partition(".")[2]: prompt for prompt in study.follow_ups.values()}
    graph.add_node("gather", _gather(study))
    graph.add_node("judge", _judge(study))
    graph.add_node("dig", _dig(study))
    for node, prompt in follow_ups.items():
        graph.add_node(node, _follow_up(study, prompt))
        graph.add_edge(node, END)
    graph.add_edge(START, "gather")
    graph.add_conditional_edges("gather", _after_gathering, ["judge", END])
    graph.add_conditional_edges("judge", _after_judging(study), ["dig", *follow_ups, END])
    graph.add_edge("dig", "judge")
    return graph.compile(checkpointer=checkpointer, name=study.name)


def _gather(study: Study) -> Node:
    async def gather(state: State) -> Update:
        company = section(state.get("company"))
        known = given(company, state.get("texts") or [])
        website = clean(company.get("website"), 2_000)
        readers = [from_website(website, study.pages)] if website else []
        if not known and not website:
            readers.append(from_search(_query(study, company)))
        read, missing = await collect(*readers)
        start: Update = {"verdict": UNKNOWN, "findings": [], "rejected": [], "dug": False}
        return {**start, **_evidence([*known, *read]), "missing": missing, "partial": bool(missing)}

    return gather


def _after_gathering(state: State) -> str:
    return "judge" if state["evidence"] else "__end__"


def _judge(study: Study) -> Node:
    async def judge(state: State) -> Update:
        answer = await ask(study.judge, **_facts(study, state), evidence=_shown(state["evidence"]))
        data = answer.data
        findings = [
            {**one, "source": text["source"], "url": text["url"]}
            for one in data["findings"]
            if (text := found_in(one["quote"], state["evidence"]))
        ]
        proven = bool(findings) or data["verdict"] in (*study.negative, NEEDS_MORE)
        quotes = {one["quote"] for one in findings}
        return {
            "verdict": data["verdict"] if proven else UNPROVEN,
            "findings": findings,
            "rejected": [one["quote"] for one in data["findings"] if one["quote"] not in quotes],
            "look_for": data["look_for"],
            **answer.facts(),
        }

    return judge


def _after_judging(study: Study) -> Callable[[State], str]:
    def after_judging(state: State) -> str:
        if state["verdict"] == NEEDS_MORE:
            return "__end__" if state["dug"] else "dig"
        prompt = study.follow_ups.get(state["verdict"])
        return prompt.name.partition(".")[2] if prompt else "__end__"

    return after_judging


def _dig(study: Study) -> Node:
    async def dig(state: State) -> Update:
        """Search once for what the judgement says is missing."""
        company = section(state.get("company"))
        words = clean(state.get("look_for"), 200)
        query = f"{clean(company.get('name'), 120)} {words}" if words else _query(study, company)
        found, missing = await collect(from_search(query))
        update = _evidence([*state["evidence"], *found])
        return {
            **update,
            "dug": True,
            "missing": missing,
            "partial": state["partial"] or bool(missing),
        }

    return dig


def _follow_up(study: Study, prompt: Prompt) -> Node:
    async def follow_up(state: State) -> Update:
        answer = await ask(
            prompt, **_facts(study, state), verdict=state["verdict"], findings=state["findings"]
        )
        known = set(_FIGURE.findall(str([state["evidence"], _facts(study, state)])))
        return {key: _backed(value, known) for key, value in answer.data.items()} | answer.facts()

    return follow_up


def _backed(value: Any, known: set[str]) -> Any:
    """`value` without what states a figure that stands nowhere: a price or a head count is never made up."""
    if isinstance(value, str):
        return value if set(_FIGURE.findall(value)) <= known else ""
    if isinstance(value, list):
        return [one for one in value if _backed(one, known) == one]
    if isinstance(value, dict):
        return {key: _backed(one, known) for key, one in value.items()}
    return value


def _facts(study: Study, state: State) -> dict[str, Any]:
    return {"company": section(state.get("company")), **{key: state.get(key) or {} for key in study.extra}}


def _query(study: Study, company: dict[str, Any]) -> str:
    name = clean(company.get("name"), 120)
    if not name:
        raise LangGraphError("company: give its name, or texts about it", kind="client")
    return study.query.format(name=name)


def _evidence(found: list[Evidence]) -> Update:
    evidence = numbered(found)
    return {"evidence": evidence, "sources": sorted({one["url"] or one["source"] for one in evidence})}


def _shown(evidence: list[Evidence]) -> list[Evidence]:
    share = MOST_TEXT // max(1, len(evidence))
    return [Evidence(**{**one, "text": one["text"][:share]}) for one in evidence]
