"""Incidents in which the world changes: they show in time, and a model trained anew, or a rule, ends them.

Over HTTP these take weeks of days each; here the same reports are made of the same answers, without it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from unplayed_worlds import reports, rules_of, world

from pipelines.production import retraining
from pipelines.production.incidents.changes import CHANGES
from pipelines.production.incidents.library import LIBRARY
from pipelines.production.sending import SourceFault, send
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import DAY_S, Begun, Scenario

FRAUD = find_scenario("fraud")
BEGINS = 70
RETRAINED = [each.name for each in CHANGES if "retrain" in each.fixes]


def home_of(name: str) -> Scenario:
    """The scenario in which this change can happen."""
    return next(each for each in SCENARIOS.values() if name in {episode.name for episode in each.episodes})


@pytest.mark.parametrize("name", [each.name for each in CHANGES if each.name != "microscope"])
def test_a_change_shows_where_its_lesson_says_and_a_new_model_ends_it(name: str, tmp_path: Path) -> None:
    # given a model of day 60, and a world that changes on day 70
    definition, scenario = LIBRARY[name], home_of(name)
    learns = retraining.learnable_from(scenario, {"train_days": 21, "test_days": 7}, BEGINS)
    whole = learns.whole_day
    features = world(scenario, f"{name}@{BEGINS}", whole + 21)

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


def test_a_new_microscope_shows_once_there_are_enough_biopsies(tmp_path: Path) -> None:
    # given six biopsies a day, measured by another microscope two days after the model was made
    biopsies, definition = find_scenario("biopsies"), LIBRARY["microscope"]
    features = world(biopsies, "microscope@62", 90)
    last = 62 + definition.within_days
    made = reports(biopsies, features, 60, range(61, last + 1), tmp_path / "before")
    # then nothing is said before a hundred are there, and then it is, in time
    assert made[10]["drift"] is None
    assert made[-1]["drift"]["days"] == [last - 21, last]
    assert not rules_of(made)[0]
    assert set.union(*rules_of(made)) & set(definition.shows)
    alarmed = {each["name"] for each in made[-1]["drift"]["columns"] if each["alarm"]}
    assert alarmed >= {"mean_radius", "mean_perimeter", "mean_area"}
    assert "mean_smoothness" not in alarmed

    # and of the same biopsies, measured as before, nothing is said
    same = reports(biopsies, world(biopsies, "", 90), 60, range(61, last + 1), tmp_path / "same")
    assert same[-1]["drift"]["columns"]
    assert not set.union(*rules_of(same))


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
    features = world(scenario, "", BEGINS)
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
