"""The biopsies are the published ones; only their times are made up."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_breast_cancer

from pipelines.scenarios.biopsies import BIOPSIES, DAYS
from pipelines.scenarios.scenario import DAY_S


def test_all_published_biopsies_are_replayed_with_their_measurements_and_diagnoses() -> None:
    # given
    published = load_breast_cancer(as_frame=True).frame
    names = [column.name for column in BIOPSIES.columns]
    # when
    events = BIOPSIES.produce("full", seed=1)
    # then
    assert len(events) == 569
    assert events["label"].sum() == 212  # malignant; the file's own code for it is 0
    expected = published[[name.replace("_", " ") for name in names]].set_axis(names, axis=1)
    expected["label"] = 1 - published["target"]
    found = events[[*names, "label"]].sort_values([*names]).reset_index(drop=True)
    expected = expected.sort_values([*names]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


def test_about_six_biopsies_a_day_are_taken_in_opening_hours() -> None:
    events = BIOPSIES.produce("teaching", seed=2)
    by_day = (events["event_time"] // DAY_S).value_counts()
    assert len(by_day) == DAYS
    assert set(by_day) == {6, 7}
    assert (events["event_time"] % DAY_S // 3600).between(8, 17).all()


def test_every_size_is_all_there_is() -> None:
    small, full = BIOPSIES.produce("small", seed=1), BIOPSIES.produce("full", seed=1)
    pd.testing.assert_frame_equal(small, full)


def test_malignant_ones_are_larger() -> None:
    events = BIOPSIES.produce("small", seed=1)
    radius = events.groupby("label")["mean_radius"].mean()
    assert radius[1] > radius[0] + 4
