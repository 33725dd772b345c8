"""How an endpoint swaps what serves: in steps that a test can stop between."""

from __future__ import annotations

import pytest
import small_model
from real_gateway import EVENT, SCENARIO, UNTIL_DAY, make_version, produce

from pipelines.errors import Damaged, Missing, Unavailable
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import champions, endpoint
from pipelines.serving.champions import Shelf
from pipelines.serving.endpoint import Endpoint, Order
from pipelines.serving.open_inference import FIRST_GIVEN_ID
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Prediction, Stream
from pipelines.workspace import Workspace

FRAUD = find_scenario(SCENARIO)


def ordered(of: Endpoint) -> Order:
    """What the endpoint orders after a look at the ledger."""
    of.look()
    order = of.order()
    assert order is not None
    return order


def served(of: Endpoint) -> int | None:
    model = of.lineup.models.get("champion")
    return None if model is None else model.version


def logged(workspace: Workspace, event_id: int) -> Prediction:
    stream = Stream(workspace.name, "main", SCENARIO, "small-1")
    time_s = UNTIL_DAY * DAY_S + 60
    return Prediction(stream, event_id, time_s, EVENT, 1, "champion", 0.1, False, "", b"", 0.0, 1.0)


def test_the_ledgers_champion_is_loaded_with_its_memory(fresh: Workspace) -> None:
    # given an endpoint that has looked
    found = Endpoint(fresh, FRAUD)
    order = ordered(found)
    assert served(found) is None

    # when what it ordered is prepared and installed
    found.install(order, found.prepare(order))

    # then the champion serves, and nothing more is ordered
    assert served(found) == 1
    assert found.memory is not None
    assert found.memory.stream == Stream(fresh.name, "main", SCENARIO, "small-1")
    found.look()
    assert found.order() is None


def test_what_is_answered_while_a_memory_is_built_is_in_it(fresh: Workspace) -> None:
    # given an endpoint whose memory has been built, and is not yet installed
    log = PredictionLog(fresh)
    log.write([logged(fresh, FIRST_GIVEN_ID)])
    found = Endpoint(fresh, FRAUD)
    order = ordered(found)
    prepared = found.prepare(order)
    assert prepared.memory is not None
    assert prepared.memory.clock.next_id == FIRST_GIVEN_ID + 1

    # when another event is answered, and then it is installed
    log.write([logged(fresh, FIRST_GIVEN_ID + 1)])
    found.install(order, prepared)

    # then that event is remembered too
    assert found.memory is not None
    assert found.memory.clock.next_id == FIRST_GIVEN_ID + 2
    assert found.memory.clock.newest_s == UNTIL_DAY * DAY_S + 60


def test_a_champion_of_the_same_run_keeps_the_memory(fresh: Workspace) -> None:
    found = Endpoint(fresh, FRAUD)
    order = ordered(found)
    found.install(order, found.prepare(order))
    before = found.memory
    make_version(fresh, "boosting")
    produce(fresh, 2)
    produce(fresh, 1)
    order = ordered(found)
    found.install(order, found.prepare(order))
    assert served(found) == 1
    assert found.memory is before


def test_nothing_is_ordered_twice_at_once(fresh: Workspace) -> None:
    found = Endpoint(fresh, FRAUD)
    ordered(found)
    assert found.order() is None


def test_without_a_champion_nothing_is_ordered(workspace: Workspace) -> None:
    found = Endpoint(workspace, FRAUD)
    found.look()
    assert found.order() is None


def test_what_failed_is_tried_again_after_a_while(fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a load that failed
    found = Endpoint(fresh, FRAUD)
    found.fail(ordered(found), Unavailable("MLflow is not answering.", "Start it."))
    assert found.problem is not None

    # then it waits, and then tries again; once it succeeds the problem is gone
    assert found.order() is None
    monkeypatch.setattr(endpoint, "RETRY_S", 0.0)
    found.fail(Order(1, "main", found.lineup.serving, None, None), Unavailable("again", ""))
    order = found.order()
    assert order is not None
    found.install(order, found.prepare(order))
    assert found.problem is None


def test_what_was_ordered_before_a_reset_is_thrown_away(fresh: Workspace) -> None:
    found = Endpoint(fresh, FRAUD)
    order = ordered(found)
    prepared = found.prepare(order)
    found.restart()
    found.install(order, prepared)
    found.fail(order, Unavailable("x", ""))
    assert served(found) is None
    assert found.memory is None
    assert found.problem is None


def test_a_memory_that_is_forgotten_is_built_again(fresh: Workspace) -> None:
    found = Endpoint(fresh, FRAUD)
    order = ordered(found)
    found.install(order, found.prepare(order))
    found.forget()
    order = ordered(found)
    found.install(order, found.prepare(order))
    assert found.memory is not None


def test_a_version_trained_on_other_features_does_not_serve(workspace: Workspace, mlflow: str) -> None:
    # given a registered version whose card lists three features only
    small_model.register(workspace)

    # then it is refused, with what to do
    with pytest.raises(Damaged, match="trained on other features") as refused:
        Shelf(workspace, FRAUD).fetch(1)
    assert "Train and register" in refused.value.hint


def test_the_shelf_keeps_the_newest_used_models(fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champions, "KEPT", 1)
    make_version(fresh, "boosting")
    shelf = Shelf(fresh, FRAUD)
    first = shelf.fetch(1)
    assert shelf.fetch(1) is first
    shelf.fetch(2)
    assert shelf.fetch(1) is not first
    with pytest.raises(Missing):
        shelf.fetch(3)
