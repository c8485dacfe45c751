"""Pictures of movement show the numbers they were given, and texts do not overlap."""

from itertools import combinations, pairwise

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from segmentation_assets.core import pictures
from segmentation_assets.core.pictures import style
from segmentation_assets.core.segments import movement

NAMES = {1: "Champions", 2: "Regulars", 3: "Dormant", -1: "Lapsed"}
MARCH, APRIL, MAY = pd.to_datetime(["2024-03-01", "2024-04-01", "2024-05-01"])


def layer(*rows, start=MARCH, end=APRIL):
    table = pd.DataFrame(rows, columns=["from_segment_id", "to_segment_id", "customers", "customers_by_model"])
    return table.astype({"from_segment_id": "Int64", "to_segment_id": "Int64"}).assign(from_date=start, to_date=end)


def many(segments=7, seed=0):
    """Seven segments, one of them tiny, with lapsed, prospects, new and lost customers."""
    random = np.random.default_rng(seed)
    ids = [*range(1, segments + 1), -1, -2, None]
    size = dict.fromkeys(ids, 4000) | {7: 12, None: 150, -1: 500, -2: 90}
    rows = [(a, b, int(size[a] * (0.8 if a == b else random.uniform(0, 0.06))), 0) for a in ids for b in ids if (a, b) != (None, None)]
    return [row for row in rows if row[2]]


def texts(axis):
    return [text.get_text() for text in axis.texts]


def overlaps(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axis,) = figure.axes
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer()).padded(-1)) for text in axis.texts]
    return [(a, b) for (a, box), (b, other) in combinations(boxes, 2) if box.overlaps(other)]


def test_blocks_show_names_and_customers_below_the_share_that_moved():
    rows = layer((1, 1, 60, 0), (1, 2, 20, 15), (2, 2, 20, 0), (2, None, 5, 0), (None, 2, 7, 0))
    axis = pictures.movement.flow(rows, NAMES, [1, 2]).axes[0]
    assert {"Champions  80", "Champions  60", "Regulars  25", "Regulars  47", "(new)  7", "(left)  5"} <= set(texts(axis))
    assert {"1 Mar 2024", "1 Apr 2024", "105 customers", "107 customers", "20.0% moved", "15.0% by the model", "20"} <= set(texts(axis))


def test_the_title_gives_the_share_that_moved_last_and_the_largest_flow():
    rows = pd.concat([layer((1, 1, 60, 0)), layer((1, 1, 50, 0), (1, 2, 7, 0), (1, 3, 3, 0), (None, 1, 90, 0), start=APRIL, end=MAY)])
    title = pictures.movement.flow(rows, NAMES).texts[0].get_text()
    assert title == "17% of customers moved; the largest group went from Champions to Regulars (7)"
    assert pictures.movement.flow(layer((1, 1, 60, 0)), NAMES).texts[0].get_text() == "Where customers went"


def test_a_small_flow_is_drawn_without_a_number():
    rows = layer((1, 1, 996, 0), (1, 2, 4, 0))
    axis = pictures.movement.flow(rows, NAMES).axes[0]
    assert sum(patch.get_alpha() is not None for patch in axis.patches) == 2
    assert "4" not in texts(axis)


def test_flows_have_the_colour_of_their_origin_and_are_pale_for_customers_who_stayed():
    axis = pictures.movement.flow(layer((1, 1, 60, 0), (1, 2, 20, 0)), NAMES).axes[0]
    stayed, moved = (patch for patch in axis.patches if patch.get_alpha() is not None)
    assert stayed.get_alpha() < moved.get_alpha()
    assert to_hex(stayed.get_facecolor()) == to_hex(moved.get_facecolor()) == style.BLUE.lower()


def test_a_middle_snapshot_shows_its_customers_with_new_and_lost_ones():
    rows = pd.concat([
        layer((1, 1, 60, 0), (1, None, 3, 0)), layer((1, 1, 50, 0), (1, 2, 10, 0), (None, 1, 4, 0), start=APRIL, end=MAY)
    ])  # fmt: skip
    axis = pictures.movement.flow(rows, NAMES).axes[0]
    assert {"Champions  63", "60", "(left) 3", "(new) 4", "Champions  54", "0.0% moved", "16.7% moved"} <= set(texts(axis))


def test_blocks_are_in_the_given_order_then_by_id_then_segments_by_rule():
    rows = layer(*((i, i, 10, 0) for i in (-1, 1, 2, 3)), (None, 1, 2, 0))
    axis = pictures.movement.flow(rows, NAMES, [3]).axes[0]
    names = [text.get_text().rsplit("  ")[0] for text in sorted(axis.texts, key=lambda t: t.get_position()[1]) if text.get_ha() == "right"]
    assert names == ["Dormant", "Champions", "Regulars", "Lapsed", "(new)"]


def test_segments_in_a_picture_have_different_colours():
    colours = pictures.movement._colours([1, 2, 11, 12, -1])
    assert (colours[1], colours[2]) == style.SEGMENT_COLOURS[:2]
    assert len({colours[i] for i in (1, 2, 11, 12, -1)}) == 5


@pytest.mark.parametrize("snapshots", [2, 3, 6])
def test_texts_do_not_overlap(snapshots):
    dates = pd.date_range("2024-01-01", periods=snapshots, freq="MS")
    rows = pd.concat([layer(*many(seed=i), start=a, end=b) for i, (a, b) in enumerate(pairwise(dates))])
    assert overlaps(pictures.movement.flow(rows, NAMES | {7: "Wholesale"})) == []


def test_at_the_first_snapshot_all_are_new():
    axis = pictures.movement.flow(layer((None, 1, 60, 0), (None, 2, 20, 0)), NAMES).axes[0]
    assert "(new)  80" in texts(axis)
    assert not any("moved" in text for text in texts(axis))


def waterfall(before, after):
    schema = pa.schema({"customer_id": pa.string(), "segment_id": pa.int64(), "revenue": pa.float64()})
    sides = ([dict(zip(schema.names, row, strict=True)) for row in rows] for rows in (before, after))
    both = movement.matched(*(ibis.memtable(pa.Table.from_pylist(rows, schema)) for rows in sides)).to_pyarrow().to_pandas()
    return pictures.movement.bridge_waterfalls(movement.bridge(both), NAMES, [2, 1])


def test_a_waterfall_shows_every_change_and_its_customers():
    second, first = waterfall([("a", 1, 10_000.0), ("b", 1, 40_000.0)], [("a", 1, 12_300.0), ("b", 2, 41_000.0)]).axes
    assert second.get_title("left") == "Regulars  new"
    assert first.get_title("left") == "Champions  -75.4%"
    assert texts(first) == ["50k", "+2.3k", "0", "-40k", "0", "0", "0", "12.3k"]
    assert [tick.get_text() for tick in first.get_xticklabels()][:4] == ["before\n2", "stayed\n1", "came\n0", "left\n1"]
    heights = [bar.get_height() for bar in first.patches]
    assert heights == pytest.approx([50_000, 2_300, 0, -40_000, 0, 0, 0, 12_300])
    assert [to_hex(first.patches[i].get_facecolor()) for i in (1, 3)] == [style.BLUE.lower(), style.VERMILION.lower()]


def test_where_more_was_returned_than_bought_the_line_at_zero_is_the_only_axis():
    (axis,) = waterfall([("a", 1, 5.0)], [("a", 1, -20.0)]).axes
    assert not axis.spines["bottom"].get_visible()
    assert axis.get_title("left").strip() == "Champions"  # a percentage of a change of sign says nothing
    assert waterfall([("a", 1, 5.0)], [("a", 1, 3.0)]).axes[0].spines["bottom"].get_visible()


def test_the_title_names_the_segments_whose_revenue_rose_and_fell_most():
    figure = waterfall([("a", 1, 10_000.0), ("b", 1, 40_000.0)], [("a", 1, 12_300.0), ("b", 2, 41_000.0)])
    assert figure.texts[0].get_text() == "Revenue of Regulars rose most (+41,000), that of Champions fell most (-37,700)"
    assert waterfall([("a", 1, 5.0)], [("a", 1, 3.0)]).texts[0].get_text() == "Revenue of Champions fell most (-2)"
    assert waterfall([("a", 1, 5.0)], [("a", 1, 5.0)]).texts[0].get_text() == "What changed the revenue of each segment"
    assert waterfall([("a", 1, 5.0)], [("a", 1, 5.0 + 1e-9)]).texts[0].get_text() == "What changed the revenue of each segment"


def test_if_changes_are_small_the_bars_of_totals_are_cut_and_marked():
    (axis,) = waterfall([("a", 1, 10_000.0)], [("a", 1, 10_100.0)]).axes
    assert axis.get_ylim()[0] > 0
    assert sum(line.get_color() == "white" for line in axis.lines) == 2


def test_a_segment_that_returned_more_than_it_bought_is_drawn_below_zero():
    (axis,) = waterfall([("a", 1, -50.0)], [("a", 1, -20.0)]).axes
    low, high = axis.get_ylim()
    assert low < -50
    assert high >= 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("revenue", [0.0, 100.0])
def test_a_segment_without_changes_is_drawn(revenue):
    (axis,) = waterfall([("a", 1, revenue)], [("a", 1, revenue)]).axes
    assert texts(axis)[1:-1] == ["0"] * 6


def test_without_rows_the_picture_says_so():
    assert "Nothing to show" in waterfall([], []).texts[1].get_text()
    assert "Nothing to show" in pictures.movement.flow(layer(), NAMES).texts[1].get_text()


def test_the_same_numbers_give_the_same_picture():
    rows = layer((1, 1, 60, 0), (1, 2, 20, 0))
    assert style.png(pictures.movement.flow(rows, NAMES)) == style.png(pictures.movement.flow(rows.iloc[::-1], NAMES))
