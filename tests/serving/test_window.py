"""The window on the log: at every moment the same tables as reading all of it anew."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pandas as pd
import pytest
from test_logged import FRAUD, STREAM, keep, label, prediction

from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import window
from pipelines.serving.logged import read_logged, read_positives
from pipelines.serving.predictions import Stream
from pipelines.serving.window import Window
from pipelines.workspace import Home, Workspace

ANSWERING = ("champion", "canary")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of this test's own."""
    return Workspace(Home(tmp_path))


def same(workspace: Workspace, seen: Window, from_day: int, until_day: int, at_s: int | None = None) -> None:
    """Hold what the window gives against what reading anew gives."""
    for routes in (ANSWERING, ("champion",), ("shadow",)):
        found = seen.read(from_day, until_day, at_s=at_s, routes=routes)
        expected = read_logged(
            workspace, FRAUD, from_day, until_day, branch="main", at_s=at_s, routes=routes, world=STREAM.world
        )
        pd.testing.assert_frame_equal(found[expected.columns.tolist()], expected)
    span = (from_day - 30) * DAY_S, until_day * DAY_S
    found, expected = seen.positives(*span), read_positives(workspace, FRAUD, *span, "main")
    order = ["label_time", "customer_id"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
    )


def test_it_follows_days_late_labels_and_answers_by_hand(workspace: Workspace) -> None:
    # given days with answers of three routes, labels that come late and out of order, and labels that come
    # before an event is answered; another branch beside it
    random, seen = Random(1), Window(workspace, FRAUD, STREAM)
    elsewhere = Stream("me", "branch-1", "fraud", "small-1")
    waiting, number = [], 0
    keep(workspace, prediction(0, 39))
    for day in range(40, 75):
        made = []
        for _ in range(random.randrange(1, 30)):
            number += 1
            then = day - random.choice((0, 0, 0, 0, 1))
            made.append(prediction(number, then, route=random.choice(("champion", "canary", "shadow"))))
            if random.random() < 0.2:
                made.append(prediction(number, then, route="version"))
        keep(workspace, *made, prediction(number, day, stream=elsewhere))
        waiting += [each for each in made if each.route != "version"]
        known = [each for each in waiting if random.random() < 0.15]
        waiting = [each for each in waiting if each not in known]
        keep(workspace, labels=tuple(label(each, random.randrange(2), day + 1) for each in known))
        # then each evening, and at times twice, it is the same
        same(workspace, seen, day - 13, day + 1, (day + 1) * DAY_S)
        if day % 5 == 0:
            same(workspace, seen, day - 13, day + 1)
    # and an earlier day can be asked for again
    same(workspace, seen, 39, 75, 60 * DAY_S)
    same(workspace, seen, 70, 75)


def test_what_took_how_long_is_told_of_answers_that_somebody_got(workspace: Workspace) -> None:
    keep(workspace, prediction(1, 60), prediction(1, 60, route="shadow"), prediction(2, 61))
    seen = Window(workspace, FRAUD, STREAM)
    seen.read(60, 62)
    assert seen.waits(60) == [1.0]
    assert seen.waits(59) == []


def test_a_log_that_is_empty_or_another_file_is_read_as_it_is(workspace: Workspace) -> None:
    # given a log with one answer
    keep(workspace, prediction(1, 60))
    seen = window.follow(workspace, STREAM)
    assert len(seen.read(60, 61)) == 1
    assert window.follow(workspace, STREAM) is seen
    # when the workspace is emptied and begun anew, moved aside as a reset does
    workspace.database.rename(workspace.root / "aside.db")
    keep(workspace, prediction(7, 60), prediction(8, 60))
    # then nothing of before is left
    assert window.follow(workspace, STREAM).read(60, 61)["event_id"].tolist() == [7, 8]
    assert len(Window(workspace, FRAUD, STREAM).read(80, 81)) == 0


def test_days_that_nobody_asks_for_are_let_go(workspace: Workspace) -> None:
    seen = Window(workspace, FRAUD, STREAM)
    for day in range(40, 100):
        keep(workspace, prediction(day, day))
        seen.read(day - 13, day + 1)
    assert sum(len(part.rows) for part in seen._parts) == 14
