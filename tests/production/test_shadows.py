"""Shadows beside their champion: by a table that a hand computes, and over real HTTP."""

from __future__ import annotations

import numpy as np
import pytest
from real_gateway import Gateway, make_version
from world_samples import now, play

from pages.parts import shadow_view
from pipelines.production.shadows import Beside, compare
from pipelines.promotion import promote
from pipelines.scenarios import find_scenario
from pipelines.tasks.sequential import Difference, compare_paired
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")


def test_a_shadow_is_compared_on_the_events_that_both_have_answered(
    gateway: Gateway, deployed: Workspace
) -> None:
    # given a champion, and from the second day on a shadow of another kind
    play(deployed, 1)
    assert compare(deployed, now(deployed)) is None
    shadow = make_version(deployed, "forest")
    promote(deployed, "fraud", shadow, stage="shadow", reason="look on", day=now(deployed).day)
    assert compare(deployed, now(deployed)) is None
    play(deployed, 1)

    # then its events are those of its days, with both scores, and nothing is known of their worth
    found = compare(deployed, now(deployed))
    assert found is not None
    assert (found.champion, found.shadow, found.worth) == (1, shadow, None)
    with deployed.connect() as connection:
        day = now(deployed).day - 1
        query = "SELECT event_id, score FROM predictions WHERE day = ? AND route = ? ORDER BY event_id"
        logged = {
            route: dict(tuple(row) for row in connection.execute(query, (day, route)))
            for route in ("champion", "shadow")
        }
    for route, scores in logged.items():
        assert dict(zip(found.scores["event_id"], found.scores[route], strict=True)) == scores
    assert "known once labels come" in shadow_view.words(FRAUD, found)

    # and once labels have come, what it would have been worth
    play(deployed, 8)
    found = compare(deployed, now(deployed))
    assert found is not None
    assert found.worth is not None
    assert found.labelled > 900
    figure = shadow_view.figure(FRAUD, found)
    assert f"{found.differ:,} of" in str(figure.layout.title.text)
    assert sum(len(trace.x) for trace in figure.data) <= shadow_view.MOST_POINTS + 1


def test_a_paired_difference_is_that_of_a_hand(capsys: pytest.CaptureFixture[str]) -> None:
    # two cards: 4 and 0 on one, 0 and 0 on the other; mean 1, pulls (4 - 2)/4 and (0 - 2)/4
    found = compare_paired([4, 0, 0, 0], ["a", "a", "b", "b"])
    assert found.value == 1.0
    assert found.error == pytest.approx(((0.5**2 + 0.5**2) * 2) ** 0.5)
    assert compare_paired([], []).z == 0.0


def test_what_can_be_chance_is_said_to_be() -> None:
    import pandas as pd

    scores = pd.DataFrame(
        {
            "event_id": np.arange(3),
            "champion": [0.1, 0.5, 0.9],
            "shadow": [0.2, 0.9, 0.8],
            "champion_alerts": [False, False, True],
            "shadow_alerts": [False, True, True],
        }
    )
    unsure = Beside(1, 2, scores, Difference(0.01, 0.02, (3, 3)), 3)
    sure = Beside(1, 2, scores, Difference(0.10, 0.01, (3, 3)), 3)
    assert unsure.differ == 1
    assert "That can be chance" in shadow_view.words(FRAUD, unsure)
    assert shadow_view.words(FRAUD, sure) == (
        "On 3 payments with labels, 1,000 of them would be worth €100 more under it "
        "(95% interval €80 to €120)."
    )
