"""Biopsies: is this tumour malignant? Real measurements, replayed in time.

Comes in: a seed. Goes out: 569 fine-needle biopsies with their diagnoses. Measurements and diagnoses
are real; when each biopsy was taken is not recorded, so the times are made up, as is the label delay.

References
----------
Wolberg, Street, Mangasarian (1993), "Breast Cancer Wisconsin (Diagnostic)", UCI Machine Learning
Repository, doi 10.24432/C5DW2B; shipped with scikit-learn as `load_breast_cancer`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.scenarios.scenario import (
    DAY_S,
    Begun,
    Column,
    Episode,
    Feature,
    Origin,
    Prices,
    Scenario,
    Size,
    Slice,
    Task,
    Value,
)

DAYS = 90
BIOPSIES_THERE_ARE = 569
OPENS_S, CLOSES_S = 8 * 3600, 18 * 3600  # Biopsies are taken from 8:00 to 18:00.

# An assumption: pathology usually takes some working days to answer.
LABEL_DELAY_DAYS = 3

# A microscope that is set up anew, so that one pixel is a smaller piece of the tissue.
MAGNIFICATION = 1.2

MAGNIFIED = {
    "mean_radius": MAGNIFICATION,
    "mean_perimeter": MAGNIFICATION,
    "mean_area": MAGNIFICATION**2,
}

# Name, meaning, unit, largest value accepted (about twice the largest there is), decimals as
# published, and the median of all biopsies as the example.
MEASUREMENTS: tuple[tuple[str, str, str, float, int, float], ...] = (
    ("mean_radius", "From the centre to the edge of a nucleus.", "pixels", 60.0, 3, 13.37),
    ("mean_texture", "How much the grey of a nucleus varies.", "grey levels", 80.0, 2, 18.84),
    ("mean_perimeter", "Length of a nucleus's edge.", "pixels", 400.0, 2, 86.24),
    ("mean_area", "Area of a nucleus.", "square pixels", 5000.0, 1, 551.1),
    ("mean_smoothness", "How much the radius varies from one place to the next.", "", 0.4, 5, 0.09587),
    ("mean_compactness", "Perimeter² / area - 1: 0 would be rounder than a circle.", "", 1.0, 5, 0.09263),
    ("mean_concavity", "How deep the dents in the edge are.", "", 1.0, 7, 0.06154),
    ("mean_concave_points", "How much of the edge is dented.", "", 0.5, 6, 0.0335),
    ("mean_symmetry", "How much the two halves differ.", "", 0.7, 4, 0.1792),
    ("mean_fractal_dimension", "How ragged the edge is.", "", 0.3, 5, 0.06154),
)


class Biopsies:
    """The world of biopsies; `Scenario` says what each attribute means."""

    name: str = "biopsies"
    title: str = "Breast biopsies"
    question: str = "Is this tumour malignant?"
    task: Task = "classification"
    origin: Origin = "real"
    start_date: str = "2024-01-01"
    days: int = DAYS
    label_delay_days: int = LABEL_DELAY_DAYS
    event: str = "biopsy"
    events: str = "biopsies"
    positive: str = "malignant"
    columns: tuple[Column, ...] = tuple(
        Column(name, "number", meaning, unit, 0.0, high, decimals, example)
        for name, meaning, unit, high, decimals, example in MEASUREMENTS
    )
    features: tuple[Feature, ...] = tuple(Value(column.name) for column in columns)
    # Not the strongest: the radius alone reaches an average precision of .94, so near the ceiling that
    # the 45 biopsies of a test week can't show any model to be better. Smoothness alone reaches .56.
    baseline: str = "mean_smoothness"
    alert_entity: str = "event_id"
    alerts_per_day: int = 2
    alert_entities: int = round(BIOPSIES_THERE_ARE / DAYS)
    prices: Prices = Prices(
        unit="harm points",
        missed=100.0,
        missed_column=None,
        review=1.0,
        false_alarm=4.0,
        meaning="A tumour that is overlooked does far more harm than a needless second look, which costs an "
        "hour and a worried week. How much more is a judgement, not a measurement. A "
        "retrained model is checked for a morning, in which nobody is examined. Who gets no answer is "
        "called again.",
        retraining=20.0,
        unanswered=2.0,
    )
    episodes: tuple[Episode, ...] = (
        Episode(
            "microscope",
            "A new microscope",
            f"Lengths are measured {MAGNIFICATION:g} times as large from that day on, and areas accordingly.",
        ),
    )

    slices: tuple[Slice, ...] = (
        Slice(
            "Size",
            "mean_radius",
            ("with small nuclei", "with nuclei of middle size", "with large nuclei"),
            edges=(12.0, 16.0),
        ),
        Slice("Dents", "mean_concavity", ("with a smooth edge", "with a dented edge"), edges=(0.06,)),
    )

    rule: str = ""

    def stopped(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        """None: there is no such rule."""
        return np.zeros(len(events), dtype=np.bool_)

    def length(self, size: Size) -> int:
        """Days that the world lasts: there is one size of what really happened."""
        del size
        return DAYS

    def produce(
        self, size: Size, seed: int, until_day: int | None = None, happened: tuple[Begun, ...] = ()
    ) -> pd.DataFrame:
        """Every biopsy, in an order and at times that the seed decides; see `Scenario.produce`."""
        del size
        # Here and not above: listing the scenarios must not cost the import of scikit-learn.
        from sklearn.datasets import load_breast_cancer

        measured = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
        random = np.random.default_rng(seed)
        measured = measured.iloc[random.permutation(len(measured))].reset_index(drop=True)
        # Spread evenly over the days; within a day in order of time.
        day = np.arange(len(measured)) * DAYS // len(measured)
        time_s = np.sort(day * DAY_S + random.integers(OPENS_S, CLOSES_S, len(measured)))
        events = pd.DataFrame(
            {
                "event_id": np.arange(len(measured), dtype=np.int64),
                "event_time": time_s,
                "label_time": time_s + LABEL_DELAY_DAYS * DAY_S,
                **{column.name: measured[column.name] for column in self.columns},
                # The file calls a benign tumour 1; here 1 is what is looked for.
                "label": (measured["target"] == 0).astype(np.int8),
            }
        )
        for begun in happened:
            since = events["event_time"] >= begun.day * DAY_S
            for name, factor in MAGNIFIED.items():
                decimals = next(column.decimals for column in self.columns if column.name == name)
                events[name] = events[name].mask(since, (events[name] * factor).round(decimals))
        if until_day is not None:
            events = events[events["event_time"] < until_day * DAY_S].reset_index(drop=True)
        return events


BIOPSIES: Scenario = Biopsies()
