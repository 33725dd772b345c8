"""Incidents in which the world changes: they show in time, and a model trained anew, or a rule, ends them.

Over HTTP these take weeks of days each; here the same reports are made of the same answers, without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines import evaluation
from pipelines.features import offline
from pipelines.ingestion import collect
from pipelines.lifecycle import Evaluate, Train
from pipelines.monitoring.reference import read_reference
from pipelines.monitoring.report import report_on
from pipelines.monitoring.rules import LASTING_DAYS, findings
from pipelines.production import retraining
from pipelines.production.incidents.changes import CHANGES
from pipelines.production.incidents.library import LIBRARY, possible_in
from pipelines.production.sending import SourceFault, send
from pipelines.run import write_json
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import DAY_S, Begun, Scenario
from pipelines.training import fit, save_model, score

FRAUD = find_scenario("fraud")
BEGINS = 70
RETRAINED = [each.name for each in CHANGES if "retrain" in each.fixes]


def home_of(name: str) -> Scenario:
    """The scenario in which this change can happen."""
    return next(each for each in SCENARIOS.values() if name in {episode.name for episode in each.episodes})


def world(scenario: Scenario, name: str, until_day: int) -> pd.DataFrame:
    """Features of everything that happens, with labels as they come."""
    episodes = f"{name}@{BEGINS}"
    events = collect(scenario, "teaching", 1, until_day, episodes)
    raw = events[[column.name for column in scenario.columns if column.kind != "number"]]
    seen = offline.compute(scenario, events).assign(cold_start="")
    return seen.assign(**{column: raw[column] for column in raw if column not in seen})


def reports(
    scenario: Scenario, features: pd.DataFrame, trained: int, days: range, folder: Path
) -> list[dict[str, Any]]:
    """The report of each of these days on a model that was trained on the morning of `trained`."""
    known = features.loc[features["event_time"] < trained * DAY_S].copy()
    unknown = known["label_time"] > trained * DAY_S
    known["label"] = known["label"].mask(unknown)
    model = fit(scenario, known, Train(), 1, trained * DAY_S)
    folder.mkdir()
    known.to_parquet(folder / "features.parquet")
    save_model(folder / "model", model)
    write_json(folder / "evaluation.json", evaluation.evaluate(scenario, known, model, Evaluate(), 1))
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
        found.append(report_on(scenario, window, positives, reference, day, resamples=50))
    return found


def rules_of(made: list[dict[str, Any]]) -> list[set[str]]:
    """Which rules each report meets, with those before it."""
    return [
        set(findings(report, made[max(0, place - LASTING_DAYS) : place])) for place, report in enumerate(made)
    ]


@pytest.mark.parametrize("name", [each.name for each in CHANGES if each.name != "microscope"])
def test_a_change_shows_where_its_lesson_says_and_a_new_model_ends_it(name: str, tmp_path: Path) -> None:
    # given a model of day 60, and a world that changes on day 70
    definition, scenario = LIBRARY[name], home_of(name)
    learns = retraining.learnable_from(scenario, {"train_days": 21, "test_days": 7}, BEGINS)
    whole = learns.whole_day
    features = world(scenario, name, whole + 21)

    # then it shows in time, and not before
    last = BEGINS + definition.within_days
    found = rules_of(reports(scenario, features, 60, range(BEGINS - 1, last + 1), tmp_path / "before"))
    assert not found[0] & set(definition.shows)
    assert set.union(*found) & set(definition.shows), found

    # and of a model that has learnt nothing but the new world, three weeks later, nothing of the kind is said
    if name in RETRAINED:
        assert learns.worth_day < whole
        after = rules_of(
            reports(scenario, features, whole, range(whole + 14, whole + 21, 3), tmp_path / "after")
        )
        assert not set.union(*after) & {"performance", "input_drift"}, after


def test_a_new_microscope_shows_in_what_it_measures(tmp_path: Path) -> None:
    biopsies = find_scenario("biopsies")
    assert "microscope" in {each.name for each in possible_in(biopsies)}
    features = world(biopsies, "microscope", 90)
    (report,) = reports(biopsies, features, 60, range(89, 90), tmp_path / "before")
    if report["drift"] is None:  # some 45 answers a week: a distribution needs 100
        pytest.skip("too few answers in a week")
    assert findings(report)


def test_the_rule_by_hand_stops_the_new_kind_of_fraud_and_hardly_anybody_else() -> None:
    events = FRAUD.produce("teaching", 1, BEGINS + 30, (Begun("changed_pattern", BEGINS),))
    events["day"] = events["event_time"] // DAY_S
    fault = SourceFault("stopped", BEGINS, BEGINS + 30)
    left = []
    for day, happens in events.groupby("day"):
        if day >= BEGINS:
            rows = happens.drop(columns="day").reset_index(drop=True)
            left.append(send(FRAUD, rows, int(day), [fault], 1).outcomes)
    after, before = pd.concat(left), events[events["day"] >= BEGINS]
    assert after["label"].sum() < 0.1 * before["label"].sum()
    assert len(after) > 0.97 * len(before)


def test_where_nothing_changes_no_input_alarms_not_even_on_the_first_days(tmp_path: Path) -> None:
    # given twenty machines: the pieces of one resemble each other, so a day holds less than its number says
    scenario = find_scenario("maintenance")
    assert scenario.episodes
    features = world(scenario, scenario.episodes[0].name, BEGINS)
    # when a model of day 60 answers from then on, a day, two, and so on until weeks are whole
    made = reports(scenario, features, 60, range(61, BEGINS + 1), tmp_path / "calm")
    # then no column leaves its limit, which is wider while there are fewer days
    assert not set.union(*rules_of(made)) & {"input_drift", "score_drift", "quality"}
    of_wear = [
        next(column["alarm_from"] for column in report["drift"]["columns"] if column["name"] == "tool_wear")
        for report in made
    ]
    assert of_wear[0] == pytest.approx(7**0.5 * of_wear[-1])
    assert of_wear[6:] == [of_wear[-1]] * len(of_wear[6:])
    # and by the limit of whole weeks the first day would have alarmed
    first = next(column for column in made[0]["drift"]["columns"] if column["name"] == "tool_wear")
    assert first["score"] > of_wear[-1]
