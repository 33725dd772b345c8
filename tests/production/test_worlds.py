"""Worlds on disk: every day as the scenario produces it, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.errors import BadInput
from pipelines.production import worlds
from pipelines.production.worlds import open_world
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import DAY_S, Begun
from pipelines.workspace import Home


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_day_is_what_the_scenario_produces(name: str, tmp_path: Path) -> None:
    scenario = find_scenario(name)
    happened = (Begun(scenario.episodes[0].name, 50),)
    world = open_world(Home(tmp_path), scenario, "small", 1, str(happened[0]))
    whole = scenario.produce("small", 1, None, happened)
    for day in (0, 49, 50, scenario.length("small") - 1):
        expected = whole[whole["event_time"].floordiv(DAY_S) == day]
        pd.testing.assert_frame_equal(world.day(day), expected.reset_index(drop=True))


def test_labels_come_in_the_order_in_which_they_become_known(tmp_path: Path) -> None:
    fraud = find_scenario("fraud")
    world, whole = open_world(Home(tmp_path), fraud, "small", 1, ""), fraud.produce("small", 1)
    begin, end = 50 * DAY_S, 51 * DAY_S
    expected = whole[(whole["label_time"] > begin) & (whole["label_time"] <= end)]
    found = world.labels(begin, end)
    assert found["event_id"].tolist() == expected["event_id"].tolist()
    assert found["label"].tolist() == expected["label"].tolist()
    assert found["label_time"].is_monotonic_increasing
    assert len(world.labels(0, DAY_S)) == 0


def test_a_world_is_written_once_and_never_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a disk that fails in the middle of writing
    fraud, home = find_scenario("fraud"), Home(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(worlds.pq.ParquetWriter, "write_table", fail)
        with pytest.raises(OSError, match="No space"):
            open_world(home, fraud, "small", 1, "")

    # then nothing is there, and the next call writes it, once
    assert list((tmp_path / "worlds").iterdir()) == []
    path = open_world(home, fraud, "small", 1, "").path
    written = path.stat().st_mtime_ns
    assert open_world(home, fraud, "small", 1, "").path.stat().st_mtime_ns == written
    assert [each.name for each in (tmp_path / "worlds").iterdir()] == ["fraud-small-1.parquet"]


def test_a_world_of_other_code_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fraud, home = find_scenario("fraud"), Home(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(worlds, "code_version", lambda: "earlier")
        first = open_world(home, fraud, "small", 1, "").path.stat().st_mtime_ns
    assert open_world(home, fraud, "small", 1, "").path.stat().st_mtime_ns != first


def test_unknown_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no episode"):
        open_world(Home(tmp_path), find_scenario("fraud"), "small", 1, "../../etc@5")
