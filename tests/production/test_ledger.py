"""The ledger: days by hand-computed small tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.production import ledger
from pipelines.production.clock import Clock
from pipelines.production.traffic import Sent
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Label, Prediction, Stream
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
CLOCK = Clock("me", "fraud", "main", "small", 1, "", "run", 60, 60, 60, 70, 0, "", "", 0.0)
STREAM = Stream("me", "main", "fraud", "small-1")

# Amount in EUR, flagged, fraud: a missed fraud of 50, a caught one of 80, a wrong alert, two honest ones.
PAYMENTS = ((50.0, False, 1), (80.0, True, 1), (20.0, True, 0), (10.0, False, 0), (30.0, False, 0))


def answers(day: int, version: int = 1, first: int = 0, route: str = "champion") -> list[Prediction]:
    return [
        Prediction(
            STREAM,
            first + place,
            day * DAY_S + place,
            {"customer_id": 1, "terminal_id": 2, "amount": amount},
            version,
            route,  # type: ignore[arg-type]
            0.9 if flagged else 0.1,
            flagged,
            "",
            np.zeros(3).tobytes(),
            1000.0,
            10.0 * (place + 1),
        )
        for place, (amount, flagged, _) in enumerate(PAYMENTS)
    ]


def outcomes(predictions: list[Prediction]) -> list[Label]:
    return [
        Label(each.prediction_id, STREAM, each.event_id, fraud, each.event_time + 7 * DAY_S, 0.0)
        for each, (_, _, fraud) in zip(predictions, PAYMENTS, strict=True)
    ]


def true_of(_day: int) -> pd.DataFrame:
    """What is true of the five payments."""
    amounts, _, frauds = zip(*PAYMENTS, strict=True)
    return pd.DataFrame({"event_id": range(5), "label": frauds, "stake": amounts})


def log(workspace: Workspace, predictions: list[Prediction], labels: list[Label] = []) -> None:  # noqa: B006
    kept = PredictionLog(workspace)
    kept.write(predictions, labels)
    kept.close()


def test_a_day_is_counted_and_its_cost_is_unknown_until_its_outcomes_come_to_light(
    workspace: Workspace,
) -> None:
    # given a day of five payments, three of which have labels
    made = answers(60)
    log(workspace, [*made, *answers(60, version=2, route="shadow")], outcomes(made)[:3])

    # when its row is written, and that of the sixth day after it
    day = ledger.enter(workspace, replace(CLOCK, errors=4), Sent(0, 4, 5, 3), outcomes=true_of)
    ledger.enter(workspace, replace(CLOCK, day=66), Sent(5, 4, 0, 0), outcomes=true_of)

    # then it is counted, and not priced
    assert (day.day, day.requests, day.errors, day.flagged, day.labels) == (60, 5, 4, 2, 3)
    assert (day.p50_ms, day.p95_ms) == (30.0, 48.0)
    assert day.versions == (1,)
    assert [each.bill for each in ledger.days(workspace, "fraud")] == [None, None]

    # until the seventh day has passed: whether the model was told of them or not
    ledger.enter(workspace, replace(CLOCK, day=67), Sent(5, 4, 0, 0), outcomes=true_of)
    assert [each.bill is not None for each in ledger.days(workspace, "fraud")] == [True, False, False]


def test_what_got_no_answer_is_missed_and_costs_besides(workspace: Workspace) -> None:
    # given a day on which the fraud of 80, and an honest payment, got no answer
    log(workspace, [each for each in answers(60) if each.event_id not in (1, 4)])
    day = ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0, lost=2), outcomes=true_of)
    ledger.enter(workspace, replace(CLOCK, day=67), Sent(5, 4, 0, 0), outcomes=true_of)

    # then both frauds are missed, and each payment without an answer costs half a euro
    assert (day.requests, day.lost) == (3, 2)
    bill = ledger.days(workspace, "fraud")[0].bill
    assert bill is not None
    assert (bill.missed, bill.downtime, bill.without) == (130.0, 1.0, 130.0)
    assert bill.saved == -1.0 - 4.0 - 10.0


def test_a_ledger_of_before_downtime_was_counted_is_read(workspace: Workspace) -> None:
    log(workspace, answers(60))
    ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0))
    with workspace.connect() as connection:
        for column in ("lost", "downtime"):
            connection.execute(f"ALTER TABLE ledger DROP COLUMN {column}")
    assert ledger.days(workspace, "fraud")[0].lost == 0


def test_a_day_costs_what_a_hand_computes(workspace: Workspace) -> None:
    # given a day of which every label has come
    made = answers(60)
    log(workspace, made, outcomes(made))
    ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0))
    ledger.enter(workspace, replace(CLOCK, day=67), Sent(5, 4, 0, 5), outcomes=true_of)

    # then: 50 missed, two reviews at 4, one wrong alert at 10; without a model 50 + 80
    bill = ledger.days(workspace, "fraud")[0].bill
    assert bill is not None
    assert (bill.missed, bill.reviews, bill.false_alarms, bill.without) == (50.0, 8.0, 10.0, 130.0)
    assert (bill.total, bill.saved) == (68.0, 62.0)
    assert ledger.days(workspace, "fraud")[0].right == 1
    total = ledger.total(FRAUD, ledger.days(workspace, "fraud"))
    assert total == {
        "unit": "EUR",
        "priced_days": 1,
        "unknown_days": 1,
        "missed": 50.0,
        "reviews": 8.0,
        "false_alarms": 10.0,
        "downtime": 0.0,
        "without": 130.0,
        "total": 68.0,
        "saved": 62.0,
    }


def test_what_was_sent_by_hand_is_not_in_the_ledger(workspace: Workspace) -> None:
    log(workspace, [*answers(60), *answers(60, first=10**12), *answers(60, first=2, route="version")])
    assert ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0)).requests == 5


def test_a_row_written_again_is_the_same(workspace: Workspace) -> None:
    made = answers(60)
    log(workspace, made, outcomes(made))
    watched = {"drifted": 2, "alerts": 1, "metric": {"name": "average_precision", "value": 0.5}}
    first = ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0), watched)
    assert ledger.enter(workspace, CLOCK, Sent(0, 4, 5, 0), watched) == first
    assert (first.drifted, first.alerts, first.metric) == (2, 1, watched["metric"])
    assert len(ledger.days(workspace, "fraud")) == 1


def test_a_day_without_events_costs_nothing(workspace: Workspace) -> None:
    log(workspace, answers(60))
    day = ledger.enter(workspace, replace(CLOCK, day=61), Sent(0, -1, 0, 0))
    assert (day.requests, day.p50_ms, day.flagged) == (0, None, 0)


def test_looking_makes_no_file(workspace: Workspace) -> None:
    assert ledger.days(workspace, "fraud") == []
    assert len(ledger.log_hash(workspace, "fraud")) == 64
    assert not workspace.database.exists()


def test_the_hash_covers_what_was_predicted_and_learned_and_no_time(
    workspace: Workspace, tmp_path: object
) -> None:
    # given a log
    made = answers(60)
    log(workspace, made, outcomes(made))
    before = ledger.log_hash(workspace, "fraud")

    def changed(sql: str) -> bool:
        with workspace.connect() as connection:
            connection.execute("BEGIN")
            connection.execute(sql)
            connection.commit()
        return ledger.log_hash(workspace, "fraud") != before

    # then wall-clock fields don't count, and everything else does
    assert not changed("UPDATE predictions SET at = at + 5, latency_ms = 1.0")
    assert not changed("UPDATE feedback SET at = at + 5")
    assert changed("UPDATE feedback SET label = 1 - label WHERE event_id = 3")
    assert not changed("UPDATE feedback SET label = 1 - label WHERE event_id = 3")
    assert changed("UPDATE predictions SET score = score + 0.001 WHERE event_id = 3")
    assert changed(f"UPDATE predictions SET event = '{json.dumps({'amount': 1})}' WHERE event_id = 3")


@pytest.mark.parametrize("name", ["biopsies"])
def test_a_world_without_amounts_is_priced_by_the_case(workspace: Workspace, name: str) -> None:
    # given a tumour that was missed, one that was found, and a needless second look
    clock = replace(CLOCK, scenario=name)
    stream = replace(STREAM, scenario=name)
    made = [replace(each, stream=stream, event={"mean_radius": 1.0}) for each in answers(60)]
    labels = [
        replace(each, stream=stream, prediction_id=of.prediction_id)
        for each, of in zip(outcomes(made), made, strict=True)
    ]
    log(workspace, made, labels)
    ledger.enter(workspace, clock, Sent(0, 4, 5, 0))
    ledger.enter(
        workspace,
        replace(clock, day=63),
        Sent(5, 4, 0, 5),
        outcomes=lambda day: true_of(day).assign(stake=1.0),
    )

    # then: 100 missed, two looks at 1, one false alarm at 4; without a model 200
    bill = ledger.days(workspace, name)[0].bill
    assert bill is not None
    assert (bill.missed, bill.reviews, bill.false_alarms, bill.without) == (100.0, 2.0, 4.0, 200.0)
