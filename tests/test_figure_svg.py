"""The still picture of a figure: every mark lies where its value says, and words are only words."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest

from pipelines import figures
from pipelines.figure_svg import MOST_POINTS, MOST_TICKS, Scale, can_draw, draw

SVG = "{http://www.w3.org/2000/svg}"


def parts(figure: go.Figure, kind: str) -> list[dict[str, str]]:
    """Attributes of all elements of one kind; reading them also proves that the SVG is well-formed."""
    return [dict(element.attrib) for element in ElementTree.fromstring(draw(figure)).iter(SVG + kind)]


def corners(points: str) -> list[tuple[float, float]]:
    return [(float(one), float(two)) for one, two in (pair.split(",") for pair in points.split())]


def test_a_value_lies_between_the_ends_of_its_axis_in_proportion() -> None:
    scale = Scale(0.0, 10.0, 100.0, 200.0)

    assert [scale.at(value) for value in (0, 2.5, 10)] == [100.0, 125.0, 200.0]


def test_on_a_logarithmic_axis_each_power_of_ten_is_as_far_from_the_next() -> None:
    scale = Scale(-1.0, 2.0, 0.0, 300.0, log=True)

    assert [scale.at(value) for value in (0.1, 1, 10, 100)] == [0.0, 100.0, 200.0, 300.0]
    assert [label for _, label in scale.ticks()] == ["0.1", "1", "10", "100"]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.7), (-5, 5), (0, 183), (1e-7, 3e-7), (0, 4e6)])
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    labels = [label for _, label in Scale(low, high, 0, 100).ticks()]

    values = [float(label) for label in labels]
    steps = np.diff(values)
    assert 2 <= len(values) <= MOST_TICKS + 1
    assert steps == pytest.approx(np.full(len(steps), steps[0]))
    assert f"{steps[0]:e}"[0] in "125"
    assert low - steps[0] / 100 <= values[0] <= values[-1] <= high + steps[0] / 100


def test_a_line_goes_through_its_values_and_breaks_at_none_that_is_missing() -> None:
    figure = figures.new_figure("Rising", x="Day", y="Precision")
    figures.line(figure, [0, 1, 2, 3], [0.0, 0.5, float("nan"), 1.0])

    (line,) = parts(figure, "polyline")

    points = corners(line["points"])
    assert len(points) == 3
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[0][1] > points[1][1] > points[2][1]
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.11)


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    figure = figures.new_figure("Long")
    figures.line(figure, np.arange(50_000), np.zeros(50_000))

    points = corners(parts(figure, "polyline")[0]["points"])

    assert len(points) == MOST_POINTS
    assert len(draw(figure)) < 20_000


def test_bars_are_as_long_as_their_values_and_those_of_two_series_lie_side_by_side() -> None:
    figure = figures.new_figure("Bars")
    figures.bars(figure, ["a", "b"], [1, 2], "champion", "one")
    figures.bars(figure, ["a", "b"], [2, 4], "challenger", "two")

    bars = parts(figure, "rect")[1:]

    heights = [float(bar["height"]) for bar in bars]
    assert [round(height / heights[0], 1) for height in heights] == [1.0, 2.0, 2.0, 4.0]
    first, second = (float(bars[place]["x"]) for place in (0, 2))
    assert second == pytest.approx(first + float(bars[0]["width"]), abs=0.2)


def test_lying_bars_are_named_from_top_to_bottom() -> None:
    figure = figures.new_figure("Weights", x="Importance")
    figures.bars(figure, ["amount", "night"], [3, 1], level=True)

    first, second = parts(figure, "rect")[1:]

    assert float(first["y"]) < float(second["y"])
    assert float(first["width"]) == pytest.approx(3 * float(second["width"]), abs=0.2)


def test_every_mark_of_our_figures_is_drawn() -> None:
    figure = figures.new_figure("Precision holds until day 34", x="Day", y="Average precision")
    days = np.arange(30, 42)
    figures.zone(figure, 38, 41, "labels not known yet")
    figures.band(figure, days, days * 0.01, days * 0.02)
    figures.line(figure, days, days * 0.015, "champion", "version 3")
    figures.points(figure, days, days * 0.015, low=days * 0.01, high=days * 0.02)
    figures.baseline(figure, 0.3, "no model")
    figures.event(figure, 34, "new tactic")

    text = draw(figure)

    assert can_draw(figure)
    assert len(parts(figure, "polygon")) == 1
    assert len(parts(figure, "circle")) == len(days)
    for words in ("Precision holds until day 34", "Average precision", "Day", "version 3", "no model"):
        assert words in text
    assert "new tactic" in text
    assert "labels not known yet" in text


def test_words_stay_words() -> None:
    figure = figures.new_figure("<script>alert(1)</script>")
    figures.bars(figure, ['"><script>', "&"], [1, 2], "champion", "<b>")

    assert "<script>" not in draw(figure)
    assert parts(figure, "script") == []


@pytest.mark.parametrize("values", [[], [5], [5, 5], [0, 0]])
def test_few_or_equal_values_are_no_trouble(values: list[int]) -> None:
    figure = figures.new_figure("Few")
    figures.line(figure, values, values, label="label")

    assert len(parts(figure, "polyline")) == 1


def test_a_kind_of_trace_it_does_not_know_is_left_to_plotly() -> None:
    assert not can_draw(go.Figure(go.Heatmap(z=[[1, 2], [3, 4]])))
