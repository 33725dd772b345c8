"""Many labels in one request: over real HTTP, kept together or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from real_gateway import EVENT, SCENARIO, UNTIL_DAY, Gateway, collected

from pipelines.errors import Missing, Refused
from pipelines.features import offline
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import client
from pipelines.serving.prediction_log import features_of, trace
from pipelines.workspace import Workspace

FRAUD = find_scenario(SCENARIO)
NAMES = [feature.name for feature in FRAUD.features]
AMOUNT = {"prediction_id": "x", "label": 1}


def kept(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        return int(connection.execute("SELECT count(*) FROM feedback").fetchone()[0])


def untold() -> Any:
    """Events from before serving began whose labels come later."""
    events = collected()
    return events[events["label"].isna()]


def test_many_labels_are_kept_in_one_request(gateway: Gateway, fresh: Workspace) -> None:
    # given three answers
    ids = [gateway.answer(fresh, event_id=10**8 + place)["prediction_id"] for place in range(3)]

    # when their labels are told together, twice, one by prediction and two by event
    labels = [
        {"prediction_id": ids[0], "label": 1},
        {"event_id": 10**8 + 1, "label": 0},
        {"event_id": 10**8 + 2, "label": 1},
    ]
    first = client.feedback_many(fresh.name, SCENARIO, labels)
    second = client.feedback_many(fresh.name, SCENARIO, labels)

    # then each is kept once, with the prediction it is about
    assert first == second
    assert [each["prediction_id"] for each in first] == ids
    assert [each["label"] for each in first] == [1, 0, 1]
    assert kept(fresh) == 3


def test_of_many_labels_all_are_kept_or_none(gateway: Gateway, fresh: Workspace) -> None:
    # given an answer with a label, and one without
    told, other = (gateway.answer(fresh, event_id=10**8 + place)["prediction_id"] for place in range(2))
    gateway.feedback(fresh, prediction_id=told, label=1)

    # when a group holds one that is refused, or one that nobody knows
    with pytest.raises(Refused, match="has the label 1, but 0"):
        client.feedback_many(
            fresh.name, SCENARIO, [{"prediction_id": other, "label": 0}, {"prediction_id": told, "label": 0}]
        )
    with pytest.raises(Missing, match="no event 999999999"):
        client.feedback_many(
            fresh.name,
            SCENARIO,
            [{"prediction_id": other, "label": 0}, {"event_id": 999_999_999, "label": 0}],
        )

    # then none of the group is kept, also when one group contradicts itself
    with pytest.raises(Refused):
        client.feedback_many(
            fresh.name, SCENARIO, [{"prediction_id": other, "label": 0}, {"prediction_id": other, "label": 1}]
        )
    assert kept(fresh) == 1


def test_a_label_of_an_event_from_before_counts_at_inference(gateway: Gateway, fresh: Workspace) -> None:
    # given an event that the run collected and whose label was not known then
    before = untold().iloc[0]
    terminal, told_s = int(before["terminal_id"]), int(before["label_time"])

    # when its label comes, and after it an event of the same terminal
    labels = [{"event_id": int(before["event_id"]), "label": 1, "label_time": told_s}]
    assert client.feedback_many(fresh.name, SCENARIO, labels)[0]["prediction_id"] == ""
    arriving = {"event_id": 10**8, "event_time": max(told_s, UNTIL_DAY * DAY_S), "terminal_id": terminal}
    answer = gateway.answer(fresh, **arriving)

    # then the features are those that are computed offline
    world = collected().copy()
    world.loc[world["event_id"] == before["event_id"], "label"] = 1
    world.loc[len(world)] = world.iloc[-1].to_dict() | EVENT | arriving | {"label": None, "label_time": 2**40}
    expected = offline.compute(FRAUD, world)[NAMES].to_numpy()[-1]
    assert np.array_equal(features_of(trace(fresh, answer["prediction_id"])), expected)
    assert expected[NAMES.index("terminal_risk_1d")] > 0


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"labels": []}, 422, "has 0 entries"),
        ({"labels": [AMOUNT] * 1001}, 422, "has 1,001 entries"),
        ({"labels": {}}, 422, "is no list"),
        ({"labels": [AMOUNT], "note": ""}, 422, "unknown field 'note'"),
        ({"labels": [5]}, 422, "Label 0 is 5"),
        ({"labels": [{"prediction_id": "x"}]}, 422, "no field 'label'"),
        ({"labels": [{"label": 1}]}, 422, "no field 'prediction_id'"),
        ({"labels": [{"event_id": 5, "label": 1}]}, 422, "no field 'prediction_id'"),
        ({"labels": [AMOUNT], "model": 5}, 422, "'model' is not a text"),
        ({"labels": [AMOUNT], "model": "unheard-of"}, 422, "no scenario 'unheard-of'"),
        ({"labels": [{"label": 1}], "model": "fraud"}, 422, "names a prediction and an event, or neither"),
        ({"labels": [AMOUNT | {"event_id": 5}], "model": "fraud"}, 422, "names a prediction and an event"),
        ({"labels": [{"event_id": -1, "label": 1}], "model": "fraud"}, 422, "event_id is -1"),
        ({"labels": [{"event_id": 1, "label": 2}], "model": "fraud"}, 422, "label is 2"),
        (
            {"labels": [{"event_id": 1, "label": 1, "label_time": 0}], "model": "fraud"},
            422,
            "label_time is 0",
        ),
        ({"labels": [AMOUNT]}, 404, "no prediction 'x'"),
    ],
)
def test_bad_lists_of_labels_are_refused(
    gateway: Gateway, served: Workspace, body: dict[str, Any], status: int, expected: str
) -> None:
    response = gateway.feedback(served, **body)
    assert response.status_code == status
    assert expected in response.json()["error"]


def test_the_models_metadata_says_how_labels_are_told(gateway: Gateway, served: Workspace) -> None:
    about = client.describe(served.name, SCENARIO)["parameters"]["feedback"]
    assert "1,000" in about["many"]["labels"]
