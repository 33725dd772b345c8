"""Reports on a world that nobody plays: the same answers as over HTTP, in a hundredth of the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import evaluation
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Evaluate, Train
from pipelines.monitoring.reference import read_reference
from pipelines.monitoring.report import report_on
from pipelines.monitoring.rules import LASTING_DAYS, findings
from pipelines.run import write_json
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.training import fit, save_model, score


def world(scenario: Scenario, episodes: str, until_day: int, seed: int = 1) -> pd.DataFrame:
    """Features of everything that happens, with labels as they come."""
    events = collect(scenario, "teaching", seed, until_day, episodes)
    raw = events[[column.name for column in scenario.columns if column.kind != "number"]]
    seen = offline.compute(scenario, events).assign(cold_start="")
    return seen.assign(**{column: raw[column] for column in raw if column not in seen})


def reports(
    scenario: Scenario, features: pd.DataFrame, trained: int, days: range, folder: Path, seed: int = 1
) -> list[dict[str, Any]]:
    """The report of each of these days on a model that was trained on the morning of `trained`."""
    known = features.loc[features["event_time"] < trained * DAY_S].copy()
    unknown = known["label_time"] > trained * DAY_S
    known["label"] = known["label"].mask(unknown)
    model = fit(scenario, known, Train(), seed, trained * DAY_S)
    folder.mkdir()
    known.to_parquet(folder / "features.parquet")
    save_model(folder / "model", model)
    write_json(folder / "evaluation.json", evaluation.evaluate(scenario, known, model, Evaluate(), seed))
    paths = (folder / name for name in ("features.parquet", "model", "evaluation.json"))
    reference = read_reference(scenario.name, 1, *paths)
    answered = features[features["event_time"] >= trained * DAY_S].reset_index(drop=True)
    scores = score(model.model, answered[model.card["features"]])
    answered = answered.assign(
        day=answered["event_time"] // DAY_S,
        version=1,
        route="champion",
        score=scores,
        decision=scores >= model.card["threshold"],
    )
    found = []
    back = scenario.label_delay_days + 7
    for day in days:
        window = answered[answered["day"].between(day - back, day - 1)]
        window = window.assign(label=window["label"].mask(window["label_time"] > day * DAY_S))
        told = answered[(answered["label"] == 1) & (answered["label_time"] <= day * DAY_S)]
        positives = pd.concat([reference.known_positives, told[[scenario.alert_entity, "label_time"]]])
        more = answered[answered["day"].between(day - 28, day - 1)]
        found.append(report_on(scenario, window, positives, reference, day, resamples=50, more=more))
    return found


def rules_of(made: list[dict[str, Any]]) -> list[set[str]]:
    """Which rules each report meets, with those before it."""
    return [
        set(findings(report, made[max(0, place - LASTING_DAYS) : place])) for place, report in enumerate(made)
    ]
