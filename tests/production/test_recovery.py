"""The loop closed, with real services: a model decays, is noticed, is retrained, and recovers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from pipelines import promotion, services
from pipelines.engines import local
from pipelines.errors import Refused
from pipelines.production import clock as clocks
from pipelines.production import evening, ledger, retraining, simulation
from pipelines.scenarios import find_scenario
from pipelines.services.ports import free_port
from pipelines.settings import Settings
from pipelines.workspace import Home, Workspace, open_workspace

pytestmark = [pytest.mark.road, pytest.mark.timeout(1500), pytest.mark.xdist_group("recovery")]

FRAUD = find_scenario("fraud")
NEEDED = ("mlflow", "worker", "gateway", "world")


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose services run for this module."""
    chosen = Settings(tmp_path_factory.mktemp("recovery"), *(free_port() for _ in range(3)), empty=True)
    with services.ensure(chosen, needed=NEEDED):
        yield Home(chosen.home)


def average_precision(workspace: Workspace, first: int, end: int) -> float:
    """Over the answers of days `first` to `end`, the last not included."""
    from sklearn.metrics import average_precision_score

    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT label, score FROM predictions JOIN feedback USING (scenario, branch, world, event_id) "
            "WHERE scenario = 'fraud' AND day >= ? AND day < ? AND route = 'champion'",
            (first, end),
        ).fetchall()
    return float(average_precision_score([row[0] for row in rows], [row[1] for row in rows]))


def test_a_model_decays_is_retrained_and_recovers(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    # given a fraud model of day 60, and a world in which prices double on day 70
    workspace = open_workspace("recovery", own_home)
    simulation.simulate(workspace, "fraud", 38, episodes=["inflation@70"])
    before, decayed = average_precision(workspace, 60, 70), average_precision(workspace, 71, 90)

    # then it decays, loses money, and is noticed
    assert before > 0.5
    assert decayed < 0.25
    days = ledger.days(workspace, "fraud")
    flagged = {day.day: day.flagged for day in days}
    assert sum(flagged[day] for day in range(60, 70)) / 10 < 60
    assert sum(flagged[day] for day in range(71, 90)) / 19 > 200
    lost = sum(day.bill.saved for day in days if day.bill and day.day >= 71)
    assert lost < -10_000
    if find_spec("pipelines.monitoring") is not None:
        opened = {alert.rule: alert.opened for alert in evening.open_alerts(workspace, "fraud")}
        assert 71 <= min(opened.values()) <= 75
        assert opened["performance"] <= 85

    # when it is retrained on day 98, from which on that is worth it
    worth, why = retraining.worth_retraining(workspace, FRAUD, 70)
    assert worth, why
    run = retraining.retrain(workspace, "fraud", "prices doubled")
    assert local.follow(workspace, run.run_id, lambda _: None, 0.2).status == "completed"

    # then the gate has let it through, it serves since day 98, and is as good as the first one was
    assert promotion.serving(workspace, "fraud").champion == 2
    assert promotion.history(workspace, "fraud")[-1].day == 98
    simulation.simulate(workspace, "fraud", 21, episodes=["inflation@70"])
    after = average_precision(workspace, 98, 112)
    assert after > 0.5
    days = ledger.days(workspace, "fraud")
    saved = sum(day.bill.saved for day in days if day.bill and day.day >= 98)
    assert saved > 0
    with capsys.disabled():
        sys.stdout.write(
            f"\naverage precision {before:.2f} before, {decayed:.2f} after prices doubled, "
            f"{after:.2f} retrained; "
            f"saved {lost:,.0f} EUR from day 71 to 97, {saved:,.0f} EUR from day 98 on\n"
        )


def test_the_same_simulation_has_the_same_hash_on_biopsies_too(own_home: Home) -> None:
    # given the same thirty days of biopsies in two workspaces, with a new microscope on day 66
    found = []
    for name in ("biopsies-a", "biopsies-b"):
        workspace = open_workspace(name, own_home)
        simulated = simulation.simulate(workspace, "biopsies", 30, seed=2, episodes=["microscope@66"])
        found.append(simulation.as_json(workspace, simulated))

    # then both are the same to the last bit, apart from time
    first, second = found
    assert first["log_hash"] == second["log_hash"]
    assert [day["requests"] for day in first["days"]] == [day["requests"] for day in second["days"]]
    assert first["ledger"] == second["ledger"]
    assert first["day"] == 90
    assert first["ledger"]["unit"] == "harm points"
    assert first["ledger"]["priced_days"] == 27
    assert 5 < sum(day["requests"] for day in first["days"]) / 30 < 8
    json.dumps(first)

    # and the world ends there
    with pytest.raises(Refused, match="lasts 90 days"):
        clocks.advance(workspace, "biopsies", 1)
