"""What an action waited for: pure, over stitched rows."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.scenes import LATER, at, run, uid
from traces_app.critical import Wait, critical_path
from traces_app.stitch import stitch

if TYPE_CHECKING:
    from traces_app.rows import RunRow
    from traces_app.tree import Node


def nodes(*runs: RunRow) -> tuple[Node, ...]:
    return stitch(runs, (), now=LATER).nodes


def own(path: dict[str, Wait], name: str) -> list[tuple[float, float]]:
    wait = path.get(uid(name))
    if wait is None:
        return []
    return sorted(((start - at(0)).total_seconds(), (end - at(0)).total_seconds()) for start, end in wait.own)


def test_of_two_branches_side_by_side_the_slower_is_waited_for() -> None:
    path = critical_path(
        nodes(
            run("caller", 0, 10),
            run("fast", 1, 4, "caller"),
            run("slow", 1, 8, "caller"),
            run("inside slow", 2, 7, "slow"),
        )
    )
    assert own(path, "fast") == []
    assert own(path, "slow") == [(1, 2), (7, 8)]
    assert own(path, "inside slow") == [(2, 7)]
    assert own(path, "caller") == [(0, 1), (8, 10)]


def test_steps_one_after_the_other_are_all_waited_for_though_their_clocks_overlap_a_little() -> None:
    path = critical_path(
        nodes(run("caller", 0, 10), run("first", 0, 4.001, "caller"), run("second", 4, 10, "caller"))
    )
    assert own(path, "first") == [(0, 4)]
    assert own(path, "second") == [(4, 10)]


def test_a_child_that_outlives_its_parent_counts_to_the_parents_end() -> None:
    path = critical_path(nodes(run("caller", 0, 5), run("stray", 2, 50, "caller")))
    assert own(path, "stray") == [(2, 5)]
    assert own(path, "caller") == [(0, 2)]


def test_nothing_is_said_of_an_action_that_has_not_ended() -> None:
    assert critical_path(nodes(run("caller", 0, None))) == {}


TREES = st.lists(
    st.tuples(st.integers(0, 40), st.floats(-5, 60), st.floats(0, 60), st.booleans()), min_size=1, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_own_stretches_cover_the_roots_time_exactly_once(drawn: list[tuple[int, float, float, bool]]) -> None:
    runs = [run("caller", 0, 50)]
    for place, (parent, start, length, ended) in enumerate(drawn):
        above = "caller" if parent >= place else f"step {parent}"
        runs.append(run(f"step {place}", start, start + length if ended else None, above))
    path = critical_path(nodes(*runs))
    stretches = sorted(one for wait in path.values() for one in wait.own)
    assert sum((end - start for start, end in stretches), timedelta()) == timedelta(seconds=50)
    assert stretches[0][0] == at(0)
    assert stretches[-1][1] == at(50)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(stretches))
