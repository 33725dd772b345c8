"""Bench: 150 days of the fraud world over HTTP, monitored each evening, against one process without either.

The floor produces the same events, and computes the same features and scores in the same batches, with the
same model: no HTTP, no log, no monitoring, no money. There is no peer: nobody else plays a production.
"""

from __future__ import annotations

import shutil
import statistics
import time
from typing import Any

import numpy as np
import pandas as pd

from pipelines import registry, services
from pipelines.lifecycle import EVENTS
from pipelines.production import simulation
from pipelines.production.champion import champion_run
from pipelines.production.clock import Clock
from pipelines.production.traffic import BATCH_S
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.champions import score
from pipelines.serving.logged import read_logged
from pipelines.serving.memory import Memory, history_of
from pipelines.settings import settings
from pipelines.workspace import Workspace, open_home, open_workspace

SCENARIO, DAYS, EQUAL = "fraud", 150, 1e-9
PARAMS = {"ingest": {"size": "teaching"}}
NEEDED = ("mlflow", "worker", "gateway", "world")


def measure(rounds: int) -> dict[str, Any]:
    """Medians over `rounds`; each begins in a workspace of its own, whose first model is not counted.

    Raises
    ------
    FlightdeckError
        As `simulation.simulate`.
    """
    ours, floor, equal = [], [], True
    with services.ensure(settings(), needed=NEEDED):
        home = open_home()
        for number in range(rounds):
            workspace = open_workspace(f"bench-simulate-{number}", home)
            shutil.rmtree(home.root / "worlds", ignore_errors=True)  # each side produces its world
            found = simulation.simulate(workspace, SCENARIO, DAYS, params=PARAMS)
            ours.append(found.seconds)
            seconds, scores = _time_floor(workspace, found.clock)
            floor.append(seconds)
            equal = equal and _same(workspace, found.clock, scores)
    seconds, least = statistics.median(ours), statistics.median(floor)
    rows = [
        _row(f"{DAYS} days", seconds, least, "s", equal),
        _row("days per second", DAYS / seconds, DAYS / least, "1/s", None),
    ]
    return {"rows": rows, "ratio_to_peer": None, "ratio_to_floor": seconds / least}


def _time_floor(workspace: Workspace, clock: Clock) -> tuple[float, pd.Series]:
    """Seconds, and the score of each event by its id."""
    scenario, run = find_scenario(clock.scenario), champion_run(workspace, clock.scenario)
    model = registry.load(workspace.name, clock.scenario, run.version)
    history = history_of(workspace, scenario, clock.branch, run.run_id)
    collected = pd.read_parquet(workspace.run_folder(run.run_id) / EVENTS.path)
    began = time.perf_counter()
    world = scenario.produce(clock.size, clock.seed, clock.day, ())
    memory = Memory(scenario, history, collected, ())
    told = world.sort_values(["label_time", "event_id"])
    times, learned = world["event_time"].to_numpy(), told["label_time"].to_numpy()
    labels = told[["event_id", "label", "label_time"]].to_numpy(np.int64)
    columns = ["event_id", "event_time", *(column.name for column in scenario.columns)]
    ids, scores = [], []
    for begin_s in range(clock.first_day * DAY_S, clock.day * DAY_S, BATCH_S):
        first, end = np.searchsorted(learned, [begin_s, begin_s + BATCH_S], side="right")
        for event_id, label, label_time in labels[first:end].tolist():
            memory.learn(event_id, label, label_time)
        first, end = np.searchsorted(times, [begin_s, begin_s + BATCH_S], side="left")
        part = world.iloc[first:end]
        rows = zip(*(part[name].tolist() for name in columns), strict=True)
        features = [memory.take(dict(zip(columns, row, strict=True))) for row in rows]
        if features:
            ids.append(part["event_id"].to_numpy())
            scores.append(score(model, np.array(features)))
    seconds = time.perf_counter() - began
    return seconds, pd.Series(np.concatenate(scores), index=np.concatenate(ids))


def _same(workspace: Workspace, clock: Clock, scores: pd.Series) -> bool:
    """Whether every event was answered, with the same score."""
    answered = read_logged(workspace, find_scenario(clock.scenario), clock.first_day, clock.day)
    found = answered.set_index("event_id")["score"]
    return bool(
        found.index.sort_values().equals(scores.index.sort_values())
        and np.allclose(found, scores.loc[found.index], rtol=0, atol=EQUAL)
    )


def _row(what: str, ours: float, floor: float, unit: str, equal: bool | None) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": None, "floor": floor, "unit": unit, "equal": equal}
