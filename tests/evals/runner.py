"""Accuracy of a classifier graph over its labelled examples: `python -m tests.evals.runner classify_reply`.

Runs with whatever model the environment names (`LLM_MODEL`), the offline rules when none is named.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.registry import GRAPHS
from registry_app.evaluations import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent
#: Graph → what of its output is compared with an example's label.
ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    **dict.fromkeys(
        ("classify_ai_intent", "classify_paper", "classify_recruitment", "classify_reply", "score_contact"),
        itemgetter("label"),
    ),
    "classify_company": itemgetter("verdict"),
    "score_lead": itemgetter("tier"),
    "extract_stack": lambda output: sorted(one["name"] for one in output["technologies"]),
}
CALLS_AT_ONCE = 8
SURE_FROM = 0.5


@dataclass(frozen=True)
class Report:
    """One graph, one model, all its examples."""

    assistant_id: str
    model: str
    prompts: dict[str, str]
    total: int
    right: int
    accuracy: float
    by_label: dict[str, dict[str, int]]
    #: `tuned`: the offline rules were written looking at these; `held_out`: they were not.
    by_split: dict[str, dict[str, int]]
    #: `sure`: the graph's own confidence was at least SURE_FROM.
    by_confidence: dict[str, dict[str, int]]
    #: example id → [expected, answered]
    wrong: dict[str, list[Any]] = field(default_factory=dict)


async def evaluate(assistant_id: str, *, most: int | None = None) -> Report:
    """Run the examples (the first `most`) through the graph. Raises what it raises: a broken model has no accuracy."""
    (spec,) = [spec for spec in GRAPHS if spec.assistant_id == assistant_id]
    graph, gate = import_module(spec.module).build_graph(), asyncio.Semaphore(CALLS_AT_ONCE)

    async def run(example: dict[str, Any]) -> dict[str, Any]:
        async with gate:
            output: dict[str, Any] = await graph.ainvoke(example["input"])
            return output

    examples = load(assistant_id)[:most]
    outputs = await asyncio.gather(*map(run, examples))
    return _report(assistant_id, examples, outputs)


def load(assistant_id: str) -> list[dict[str, Any]]:
    """The labelled examples: `{"id", "label", "split", "input"}` a line, `group` where a label is a list."""
    lines = (FOLDER / f"{assistant_id}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def _report(assistant_id: str, examples: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Report:
    answered = list(map(ANSWERS[assistant_id], outputs))
    pairs = [
        (example["id"], example["label"], answer) for example, answer in zip(examples, answered, strict=True)
    ]
    hits = [want == got for _, want, got in pairs]
    right = sum(hits)
    return Report(
        assistant_id=assistant_id,
        model=outputs[0]["model"],
        prompts=outputs[0]["prompts"],
        total=len(pairs),
        right=right,
        accuracy=round(right / len(pairs), 3),
        by_label=_tally([example.get("group") or example["label"] for example in examples], hits),
        by_confidence=_tally([_surety(output) for output in outputs], hits),
        by_split=_tally([example["split"] for example in examples], hits),
        wrong={name: [want, got] for name, want, got in pairs if want != got},
    )


def _surety(output: dict[str, Any]) -> str:
    if "confidence" not in output:
        return "unstated"
    return "sure" if output["confidence"] >= SURE_FROM else "unsure"


def _tally(groups: list[str], hits: list[bool]) -> dict[str, dict[str, int]]:
    total = Counter(groups)
    right = Counter(group for group, hit in zip(groups, hits, strict=True) if hit)
    return {group: {"total": total[group], "right": right[group]} for group in sorted(total)}


def as_text(report: Report) -> str:
    lines = [
        f"{report.assistant_id} with {report.model}: {report.right} of {report.total} right ({report.accuracy:.1%})"
    ]
    lines += [
        f"  {label:20} {count['right']:3} of {count['total']}"
        for label, count in (report.by_label | report.by_split | report.by_confidence).items()
    ]
    lines += [f"  wrong: {name} answered {got}" for name, (_want, got) in report.wrong.items()]
    return "\n".join(lines)


def record(report: Report, path: Path = RECORD) -> None:
    """Put a report's counts where the app shows them, in place of an earlier one of the same graph and model."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    counts = {"right": report.right, "total": report.total, "by_split": report.by_split}
    known.setdefault(report.assistant_id, {})[report.model] = counts
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="*", default=sorted(ANSWERS), help="default: all with examples")
    parser.add_argument("--json", action="store_true", help="one JSON object a graph instead of text")
    parser.add_argument("--record", action="store_true", help="let the app show what was measured")
    chosen = parser.parse_args(arguments)
    for assistant_id in chosen.graphs:
        report = asyncio.run(evaluate(assistant_id))
        print(json.dumps(asdict(report)) if chosen.json else as_text(report))
        if chosen.record:
            record(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
