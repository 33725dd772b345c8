"""Figures: legible in both themes, told apart without colour, kept in notebooks as data and words."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest
from IPython.core.formatters import DisplayFormatter

from pipelines import figures
from pipelines.figures import PLOTLY_MIMETYPE, ROLES, Role

LIGHT_PAGE, DARK_PAGE = "#FBFAF7", "#10161C"
READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3.


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, by WCAG's definition."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def sample() -> figures.Figure:
    """A figure with one of everything."""
    figure = figures.new_figure("Precision holds until day 34", x="Day", y="Average precision")
    days = np.arange(1, 6)
    figures.zone(figure, 4, 5, "labels not here yet")
    figures.band(figure, days, days * 0.1, days * 0.2)
    figures.line(figure, days, days * 0.15, "champion", "version 3")
    figures.line(figure, days, days * 0.05, "challenger", "version 4")
    figures.points(figure, days, days * 0.1, "labels", "known", days * 0.05, days * 0.2)
    figures.ticks(figure, [1, 2], 0.0, "shadow")
    figures.baseline(figure, 0.1, "no model")
    figures.event(figure, 3, "new tactic")
    return figure


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_readable_in_both_themes(role: Role) -> None:
    assert contrast(ROLES[role].light, LIGHT_PAGE) >= READABLE
    assert contrast(ROLES[role].dark, DARK_PAGE) >= READABLE


def test_no_two_roles_differ_by_colour_alone() -> None:
    for one, other in combinations(ROLES.values(), 2):
        forms = [(look.dash, look.width, look.symbol, look.pattern) for look in (one, other)]
        assert forms[0] != forms[1]


def test_dark_copy_keeps_no_light_colour_and_leaves_the_original() -> None:
    # given
    figure = sample()
    before = figure.to_json()
    # when
    dark = figures.dress(figure, dark=True).to_json().lower()
    # then
    for look in ROLES.values():
        assert look.light.lower() not in dark
    assert "rgba(9,105,200" not in dark
    assert "#5e88f7" in dark
    assert figure.to_json() == before


def test_light_copy_is_equal_to_the_original() -> None:
    figure = sample()
    assert json.loads(figures.dress(figure, dark=False).to_json()) == json.loads(figure.to_json())


def test_a_stored_figure_can_be_dressed() -> None:
    stored = go.Figure(json.loads(sample().to_json()))
    assert figures.dress(stored, dark=True).data[2].line.color == ROLES["champion"].dark


def test_notebook_keeps_a_figure_as_plotly_data_and_words_only() -> None:
    # given
    formatter = DisplayFormatter()
    # when
    bundle, _ = formatter.format(sample())
    # then
    assert set(bundle) == {PLOTLY_MIMETYPE, "text/plain"}
    assert bundle[PLOTLY_MIMETYPE]["data"][0]["type"] == "scatter"
    assert "<" not in bundle["text/plain"]


def test_figure_is_described_in_the_words_it_was_given() -> None:
    figure = sample()
    figures.describe_as(figure, "It rises from 0.15 to 0.75.")
    assert figures.describe(figure) == "Precision holds until day 34. It rises from 0.15 to 0.75."


def test_figure_without_words_is_described_by_its_values() -> None:
    # given
    figure = figures.new_figure("How many?", y="payments")
    figures.line(figure, [1, 2, 3], np.array([4.0, 1.0, np.nan]), label="per day")
    # when: as from a notebook, where Plotly packs numbers into base64
    words = figures.describe(go.Figure(json.loads(figure.to_json())))
    # then
    assert words == "How many? Per day: 2 values, from 4 to 1, lowest 1, highest 4."


def test_lying_bars_are_described_by_their_lengths() -> None:
    figure = figures.new_figure("What counts?", x="Loss")
    figures.bars(figure, ["amount", "night"], [0.3, 0.1], level=True)
    assert "from 0.3 to 0.1" in figures.describe(figure)
    assert figure.layout.yaxis.autorange == "reversed"


def test_axis_ends_where_the_data_end() -> None:
    figure = sample()
    assert figure.layout.xaxis.autorangeoptions.maxallowed == 5


def test_labels_of_lines_that_end_together_are_pushed_apart() -> None:
    # given
    figure = figures.new_figure("Close")
    figures.line(figure, [1, 2], [0.0, 1.0], "champion", "one")
    # when
    figures.line(figure, [1, 2], [0.0, 0.99], "challenger", "two")
    # then
    shifts = {note.text: note.yshift for note in figure.layout.annotations if note.name == "label"}
    assert shifts == {"one": 8, "two": -8}


def test_legend_appears_once_points_or_bars_are_told_apart() -> None:
    figure = figures.new_figure("Two kinds")
    figures.bars(figure, ["a"], [1], "champion", "one")
    assert not figure.layout.showlegend
    figures.bars(figure, ["a"], [2], "challenger", "two")
    assert figure.layout.showlegend


def test_intervals_reach_from_low_to_high() -> None:
    figure = figures.new_figure("With intervals")
    figures.points(figure, [1], [0.5], low=[0.4], high=[0.7])
    span = figure.data[0].error_y
    assert (span.arrayminus[0], span.array[0]) == pytest.approx((0.1, 0.2))
