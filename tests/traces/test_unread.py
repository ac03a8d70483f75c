"""A trace that is too large to be read to its end says how much of it was left out."""

from __future__ import annotations

from tests.traces.scenes import at, clean
from traces_app.outline import Outline
from traces_app.selectors import with_unread
from traces_app.stitch import stitch


def test_what_is_not_read_is_counted_as_missing_from_the_view() -> None:
    tree = stitch(*clean(), now=at(100))
    assert tree.state == "complete"
    assert with_unread(tree, {"a": Outline()}) is tree
    cut = with_unread(tree, {"a": Outline(), "b": Outline(unread=600_001)})
    assert cut.state == "partial"
    assert [(gap.id, gap.source, gap.count) for gap in cut.missing] == [("b", "this view", 600_001)]
    assert cut.nodes == tree.nodes
