"""Two actions side by side, and the map over a large one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import structs

from tests.traces.follow_up import follow_up
from tests.traces.scenes import LATER, at, run
from traces_app.charts import minimap
from traces_app.pages.compare import compare
from traces_app.pages.rows import scale_of
from traces_app.stitch import stitch

if TYPE_CHECKING:
    from traces_app.tree import StitchedTree


def tree(*, slower: str = "", without: str = "", more: str = "") -> StitchedTree:
    """The action of the follow-up; one step may take two minutes longer, be left out, or happen once more."""
    runs, hops = follow_up()
    kept = [one for one in runs if one.name != without]
    for one in [one for one in kept if one.name == slower]:
        assert one.end is not None
        kept[kept.index(one)] = structs.replace(one, end=one.end.replace(minute=one.end.minute + 2))
    once_more = [one for one in kept if one.name == more][:1]
    kept += [structs.replace(one, run_id="00000000-0000-4000-8000-00000000abcd") for one in once_more]
    return stitch(kept, hops, now=LATER)


def test_an_action_beside_itself_has_no_change() -> None:
    found = compare(tree(), tree(), LATER)
    assert (found.only_this, found.only_other, found.notable, found.left_out) == (0, 0, (), 0)
    assert all(pair.change in (0.0, None) for pair in found.pairs)
    names = [node.name for node in tree().nodes if node.kind != "caller" or node.depth]
    assert [pair.node.name for pair in found.pairs] == names


def test_the_slower_step_is_named_and_not_those_around_it() -> None:
    leaf = next(
        node for node in tree().nodes if node.kind == "tool" or (node.kind == "node" and not node.child_count)
    )
    found = compare(tree(slower=leaf.name), tree(), LATER)
    assert [pair.node.name for pair in found.notable] == [leaf.name]
    assert found.notable[0].change == 120.0
    assert compare(tree(), tree(slower=leaf.name), LATER).notable[0].change == -120.0


def test_what_only_one_has_is_counted_on_its_side() -> None:
    leaf = next(node for node in tree().nodes if node.kind == "node" and not node.child_count)
    found = compare(tree(without=leaf.name), tree(), LATER)
    assert (found.only_this, found.only_other) == (0, 1)
    assert next(pair for pair in found.pairs if pair.this is None).node.name == leaf.name
    again = compare(tree(more=leaf.name), tree(), LATER)
    assert (again.only_this, again.only_other) == (1, 0)


def test_of_large_actions_whole_levels_are_shown() -> None:
    runs = [run("caller", 0, 10, run_type="chain"), *(run(f"s{n}", 1, 2, "caller") for n in range(700))]
    wide = stitch(runs, [], now=LATER)
    found = compare(wide, wide, LATER)
    assert len(found.pairs) + found.left_out == 700
    assert len(found.pairs) == 500


def test_the_map_counts_every_leaf_where_it_was_at_work() -> None:
    runs = [run("caller", 0, 120), *(run(f"s{n}", n, n + 1, "caller") for n in range(120))]
    runs[-1] = structs.replace(runs[-1], status="error")
    action = stitch(runs, [], now=LATER)
    scale = scale_of(action, LATER)
    found = minimap.columns(action.nodes, scale, LATER)
    assert all(1 <= column.working <= 2 for column in found)
    assert sum(column.failed for column in found) == 1
    longest = [column.longest for column in found if column.longest]
    assert len(longest) == 120
    assert all(one.start and two.start and one.start < two.start for one, two in pairwise(longest))
    picture = minimap.drawn(found, action.nodes, scale, LATER, [""] * minimap.COLUMNS)
    assert picture.count("is-bad") == 1
    assert at(0) == scale.start
