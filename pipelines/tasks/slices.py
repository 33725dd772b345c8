"""Slices: is the model as good on each part of the events as on all of them?

Comes in: tested rows, their features, the parts a scenario declares. Goes out: the figures of each part,
and the worst in words. An average hides a part on which the model fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios.scenario import Scenario, Slice
from pipelines.tasks import bootstrap, metrics
from pipelines.tasks.calibration import wilson
from pipelines.tasks.metrics import Floats, plain_number

# With fewer positives than this a single one moves the share found by more than a tenth.
LEAST_POSITIVES = 10
UNKNOWN = "where it is not known"


def compare_slices(
    scenario: Scenario,
    tested: pd.DataFrame,
    values: pd.DataFrame,
    threshold: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The figures of every part of every slice.

    Parameters
    ----------
    tested : DataFrame of shape (n_rows, 3 or more)
        entity, label (0 or 1), score.
    values : DataFrame of shape (n_rows, …)
        The columns that the scenario's slices name, in the same order of rows.
    threshold : float
        From which score on an event is flagged.
    resamples : int
        Bootstrap samples behind each interval; whole entities are drawn.

    Returns
    -------
    dict
        all (the figures of all rows), by (a list: name, column, parts), worst (name, label; None when
        no part is worse than luck allows) and words. Figures: rows, positives, flagged, right, found,
        found_interval, average_precision, interval, measured. Where there are fewer than
        `LEAST_POSITIVES` positives, or nothing else, measured is False and what needs them is None.
    """
    entity, names = pd.factorize(tested["entity"])
    weights = bootstrap.resample(len(names), resamples, seed)
    rows = _Rows(
        tested["label"].to_numpy(np.int8), tested["score"].to_numpy(np.float64), entity, weights, threshold
    )
    by = [
        {
            "name": each.name,
            "column": each.column,
            "parts": [
                {"label": label, **rows.figures(chosen)} for label, chosen in part(each, values[each.column])
            ],
        }
        for each in scenario.slices
        if each.column in values
    ]
    whole = rows.figures(np.ones(len(tested), dtype=bool))
    worst = _worst(by, whole)
    return {"all": whole, "by": by, "worst": worst, "words": _words(scenario, by, whole, worst)}


def part(slice_: Slice, column: pd.Series[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Which rows belong to each part; every row belongs to exactly one.

    Examples
    --------
    >>> bands = Slice("Size", "size", ("small", "large"), edges=(10.0,))
    >>> [(label, rows.tolist()) for label, rows in part(bands, pd.Series([5.0, 10.0, 12.0]))]
    [('small', [True, False, False]), ('large', [False, True, True])]
    """
    if slice_.values:
        place = pd.Index(slice_.values).get_indexer(pd.Index(column.astype(str)))
    else:
        number = column.to_numpy(np.float64)
        place = np.where(
            np.isnan(number), -1, np.searchsorted(np.asarray(slice_.edges), number, side="right")
        )
    parts = [(label, place == index) for index, label in enumerate(slice_.labels)]
    return parts if (place >= 0).all() else [*parts, (UNKNOWN, place < 0)]


class _Rows:
    """The tested rows, ready to be measured part by part on the same bootstrap samples."""

    def __init__(
        self,
        label: NDArray[np.int8],
        score: Floats,
        entity: NDArray[np.int64],
        weights: Floats,
        threshold: float,
    ) -> None:
        self.label, self.score, self.entity, self.weights = label, score, entity, weights
        self.flagged = score >= threshold

    def figures(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        label, flagged = self.label[chosen], self.flagged[chosen]
        rows, positives, right = len(label), int(label.sum()), int((label * flagged).sum())
        measured = LEAST_POSITIVES <= positives < rows
        return {
            "rows": rows,
            "positives": positives,
            "flagged": int(flagged.sum()),
            "right": plain_number(right / flagged.sum() if flagged.any() else np.nan),
            "found": plain_number(right / positives if positives else np.nan),
            "measured": measured,
            **(self._intervals(chosen) if measured else _NOTHING),
        }

    def _intervals(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        label, entity = self.label[chosen], self.entity[chosen]
        ranking = metrics.rank(label, self.score[chosen])
        sampled = [
            metrics.average_precision(ranking, self.weights[samples][:, entity])
            for samples in bootstrap.chunks(len(self.weights), len(label))
        ]
        of_entity = self.weights.shape[1]
        positive, found = (
            np.bincount(entity, weights=counted, minlength=of_entity)
            for counted in (label, label * self.flagged[chosen])
        )
        share = bootstrap.interval(metrics.ratio(self.weights @ found, self.weights @ positive))
        # The wider of the two: of 12 found of 12 every draw finds all, which promises too much.
        ends = zip(share, wilson(int(found.sum()), int(positive.sum())), strict=True)
        low, high = (choose(pair) for choose, pair in zip((min, max), ends, strict=True))
        return {
            "found_interval": [plain_number(low), plain_number(high)],
            "average_precision": plain_number(metrics.average_precision(ranking)[0]),
            "interval": [plain_number(end) for end in bootstrap.interval(np.concatenate(sampled))],
        }


_NOTHING: dict[str, Any] = {
    "found_interval": [None, None],
    "average_precision": None,
    "interval": [None, None],
}


def _worst(by: list[dict[str, Any]], whole: dict[str, Any]) -> dict[str, str] | None:
    """The part of whose positives the model finds least, if that is less than luck explains.

    Not the one with the lowest average precision: that falls with the share of positives, whatever
    the model does.
    """
    parts = [(each["name"], one) for each in by for one in each["parts"] if one["measured"]]
    below = [(name, one) for name, one in parts if one["found_interval"][1] < whole["found"]]
    if not below:
        return None
    name, one = min(below, key=lambda each: each[1]["found"])
    return {"name": name, "label": one["label"]}


def _words(
    scenario: Scenario, by: list[dict[str, Any]], whole: dict[str, Any], worst: dict[str, str] | None
) -> str:
    if not whole["measured"]:
        return f"Too few tested {scenario.events} are {scenario.positive} to look at parts of them."
    parts = [(each["name"], one) for each in by for one in each["parts"]]
    few = sum(not one["measured"] for _, one in parts)
    beside = f" {few} of {len(parts)} parts hold too few positives to measure." if few else ""
    if worst is None:
        return (
            f"On no part does it find fewer of the {scenario.events} that are {scenario.positive} than luck "
            f"explains (of all: {whole['found']:.0%}).{beside}"
        )
    one = next(one for name, one in parts if (name, one["label"]) == (worst["name"], worst["label"]))
    low, high = one["found_interval"]
    return (
        f"It is weakest on {scenario.events} {one['label']}: it finds {one['found']:.0%} of the "
        f"{one['positives']} that are {scenario.positive} (95% interval {low:.0%} to {high:.0%}), "
        f"against {whole['found']:.0%} of all.{beside}"
    )
