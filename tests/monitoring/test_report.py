"""The report of a day, its alerts and the diary: in a world in which prices double, and in a calm one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import page_samples as samples
import pytest

from pipelines.errors import Damaged, Missing, Refused
from pipelines.monitoring import alerts, diary, plots
from pipelines.monitoring.report import in_brief, monitor
from pipelines.scenarios import find_scenario
from pipelines.workspace import Home, Workspace

FRAUD = find_scenario("fraud")
DOUBLED = 70  # The day on which prices double.
LAST = 83


def live(workspace: Workspace, days: range) -> list[dict[str, Any]]:
    """Each day's report, kept and taken into account as the world does at its end."""
    reports = []
    for day in days:
        reports.append(monitor(workspace, FRAUD, day, resamples=50))
        diary.keep(workspace, "fraud", "main", reports[-1])
        alerts.update(workspace, "fraud", "main", reports[-1])
    return reports


def life(root: Path, episodes: str = "") -> tuple[Workspace, list[dict[str, Any]]]:
    """A model of the teaching size from its deployment on day 60 until the last, with every day's report."""
    found = samples.results("fraud", "teaching", "boosting")
    workspace = Workspace(Home(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "results", lambda: found)
        samples.completed(workspace)
        samples.answered(workspace, LAST, episodes, size="teaching")
    return workspace, live(workspace, range(61, LAST + 1))


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[dict[str, Any]]]:
    """In a world in which prices double on day 70."""
    return life(tmp_path_factory.mktemp("doubled"), f"inflation@{DOUBLED}")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[dict[str, Any]]]:
    """In a world in which nothing happens."""
    return life(tmp_path_factory.mktemp("calm"))


def test_doubled_prices_are_seen_at_once_in_what_comes_in_and_once_labels_come_in_performance(
    doubled: tuple[Workspace, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, _ = doubled
    opened = {each.rule: each.opened for each in alerts.all_alerts(workspace, "fraud")}
    with capsys.disabled():
        inputs, performance = opened["input_drift"] - DOUBLED, opened["performance"] - DOUBLED
        print(f"\n  inputs alarmed {inputs} days after prices doubled, performance {performance} days after")  # noqa: T201
    assert DOUBLED < opened["input_drift"] <= DOUBLED + 7
    assert DOUBLED + FRAUD.label_delay_days < opened["performance"] <= DOUBLED + 12


def test_a_calm_world_raises_no_alert(calm: tuple[Workspace, list[dict[str, Any]]]) -> None:
    workspace, _ = calm
    assert [(each.rule, each.opened, each.found) for each in alerts.all_alerts(workspace, "fraud")] == []


def test_performance_waits_for_labels_and_then_measures_those_that_came(
    calm: tuple[Workspace, list[dict[str, Any]]],
) -> None:
    by_day = {report["day"]: report["performance"] for report in calm[1]}
    assert by_day[67]["status"] == "waiting"
    assert by_day[67]["metrics"]["average_precision"] is None
    full = by_day[80]
    assert (full["from_day"], full["until_day"], full["status"]) == (66, 73, "measured")
    low, high = full["intervals"]["alert_precision"]
    assert low <= full["metrics"]["alert_precision"] <= high
    assert full["metrics"]["average_precision"] > full["baseline"]["average_precision"]
    assert full["backlog"]["late"] == 0
    assert full["backlog"]["waiting"] > 0


def test_the_estimate_is_near_the_truth_while_scores_mean_what_they_meant(
    calm: tuple[Workspace, list[dict[str, Any]]],
) -> None:
    by_day = {report["day"]: report["performance"] for report in calm[1]}
    # given the estimate for days 67 to 73, and a week later what they really were
    estimated, found = by_day[74]["estimate"], by_day[81]
    assert (estimated["from_day"], estimated["until_day"]) == (found["from_day"], found["until_day"])
    assert estimated["alert_precision"] == pytest.approx(found["metrics"]["alert_precision"], abs=0.25)


def test_the_estimate_is_blind_to_doubled_prices(doubled: tuple[Workspace, list[dict[str, Any]]]) -> None:
    last = doubled[1][-1]["performance"]
    assert last["estimate"]["alert_precision"] > 0.5 > last["metrics"]["alert_precision"]


def test_a_report_is_plain_and_repeatable(calm: tuple[Workspace, list[dict[str, Any]]]) -> None:
    workspace, reports = calm
    again = monitor(workspace, FRAUD, LAST, resamples=50)
    assert json.loads(json.dumps(again)) == again == reports[-1]
    assert monitor(workspace, "fraud", LAST, resamples=50) == again
    assert "run_id" not in json.dumps(again)


def test_a_day_later_than_the_log_finds_nothing_and_says_so(
    calm: tuple[Workspace, list[dict[str, Any]]],
) -> None:
    report = monitor(calm[0], FRAUD, 120)
    assert report["answers"] == 0
    assert report["quality"] == []
    assert report["drift"] is None
    assert report["summary"] == "No payment was answered in the last 7 days."


def test_what_a_ledger_keeps_is_short(doubled: tuple[Workspace, list[dict[str, Any]]]) -> None:
    brief = in_brief(doubled[1][-1], raised=2)
    assert brief["alerts"] == 2
    assert brief["drifted"] >= 3
    assert brief["metric"]["low"] <= brief["metric"]["value"] <= brief["metric"]["high"]


def test_without_a_champion_there_is_nothing_to_monitor(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="nothing to monitor"):
        monitor(workspace, FRAUD, 70)


def test_a_champion_whose_run_is_gone_is_said(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    (workspace.run_folder(run.run_id) / "receipts" / "registration.json").unlink()
    with pytest.raises(Missing, match="is gone"):
        monitor(workspace, FRAUD, 70)


def test_figures_tell_what_they_show(doubled: tuple[Workspace, list[dict[str, Any]]]) -> None:
    reports = doubled[1]
    assert "less right" in plots.performance(FRAUD, reports, [(70, "prices")]).layout.title.text
    assert "columns have drifted" in plots.drift_dots(reports[-1]["drift"]["columns"]).layout.title.text
    assert "No fraud has been confirmed" in plots.performance(FRAUD, []).layout.title.text


# The life of an alert, on reports made by hand.


def report(
    day: int, *, drifted: bool = False, version: int = 1, failed: str = "", high: float = 0.4
) -> dict[str, Any]:
    column = {"name": "amount", "method": "wasserstein", "score": 0.5, "alarm_from": 0.1, "alarm": drifted}
    check = {"name": failed, "found": "12 missing", "expected": "none missing", "passed": False}
    measured = {"average_precision": high - 0.1, "alert_precision": high - 0.1}
    ends = {name: [high - 0.2, high] for name in measured}
    promised = {
        "metrics": dict.fromkeys(measured, 0.35),
        "intervals": {name: [0.3, 0.4] for name in measured},
    }
    performance = {"status": "measured", "metrics": measured, "intervals": ends, "promised": promised}
    return {
        "day": day,
        "version": version,
        "drift": {"columns": [column]},
        "quality": [check] if failed else [],
        "performance": performance,
    }


def take(workspace: Workspace, *reports: dict[str, Any]) -> list[alerts.Alert]:
    """The alerts that these days opened."""
    opened = []
    for each in reports:
        diary.keep(workspace, "fraud", "main", each)
        opened += alerts.update(workspace, "fraud", "main", each)
    return opened


def test_an_alert_says_what_was_found_and_lives_until_its_cause_is_gone(workspace: Workspace) -> None:
    # given
    (opened,) = take(workspace, report(70, drifted=True), report(71, drifted=True))
    assert (opened.rule, opened.state, opened.opened, opened.severity) == (
        "input_drift",
        "open",
        70,
        "attention",
    )
    assert "amount: wasserstein 0.50" in opened.found
    # when somebody looks at it
    seen = alerts.acknowledge(workspace, opened.alert_id, 72)
    assert (seen.state, seen.acknowledged) == ("acknowledged", 72)
    assert alerts.open_alerts(workspace, "fraud") == [seen]
    # when it is quiet for three days
    take(workspace, *(report(day) for day in (72, 73)))
    assert len(alerts.open_alerts(workspace, "fraud")) == 1
    take(workspace, report(74))
    # then it is over
    (ended,) = alerts.all_alerts(workspace, "fraud")
    assert (ended.state, ended.resolved) == ("resolved", 74)
    assert alerts.open_alerts(workspace, "fraud") == []
    with pytest.raises(Refused, match="was resolved on day 74"):
        alerts.acknowledge(workspace, ended.alert_id)


def test_the_same_day_twice_is_one_alert(workspace: Workspace) -> None:
    assert len(take(workspace, *[report(70, drifted=True)] * 3)) == 1


def test_a_rule_rests_after_its_alert(workspace: Workspace) -> None:
    take(workspace, report(70, drifted=True), *(report(day) for day in range(71, 75)))
    assert take(workspace, report(75, drifted=True)) == []
    assert len(take(workspace, report(81, drifted=True))) == 1


def test_another_version_ends_the_alerts_of_the_one_before(workspace: Workspace) -> None:
    take(workspace, report(70, drifted=True))
    take(workspace, report(71, version=2))
    (ended,) = alerts.all_alerts(workspace, "fraud")
    assert (ended.state, ended.ended) == ("resolved", "version 2 serves now")


def test_a_large_loss_alarms_at_once_and_a_smaller_one_when_it_lasts(workspace: Workspace) -> None:
    assert [each.rule for each in take(workspace, report(70, high=0.15))] == ["performance"]
    # given another world, in which the loss is smaller: its interval ends just below what was promised
    smaller = [report(day, high=0.29) for day in range(70, 78)]
    opened = []
    for each in smaller:
        diary.keep(workspace, "fraud", "calm", each)
        opened += alerts.update(workspace, "fraud", "calm", each)
    assert [each.opened for each in opened] == [76]


def test_luck_within_the_intervals_is_no_alert(workspace: Workspace) -> None:
    assert take(workspace, *(report(day, high=0.31) for day in range(70, 90))) == []


@pytest.mark.parametrize(("failed", "rule"), [("Values there", "quality"), ("Labels arrive", "labels")])
def test_a_failed_check_is_an_alert_of_its_owner(workspace: Workspace, failed: str, rule: str) -> None:
    (opened,) = take(workspace, report(70, failed=failed))
    assert (opened.rule, opened.owner) == (rule, "data engineer")


def test_an_alert_that_is_not_there_is_missing(workspace: Workspace) -> None:
    with pytest.raises(Missing, match="no alert 7"):
        alerts.acknowledge(workspace, 7)


def test_the_diary_keeps_the_newer_page_of_a_day(workspace: Workspace) -> None:
    assert diary.read(workspace, "fraud") == []
    assert alerts.all_alerts(workspace, "fraud") == []
    assert not workspace.database.exists()
    for text in ("first", "second"):
        diary.keep(workspace, "fraud", "main", {"day": 70, "summary": text})
    diary.keep(workspace, "fraud", "main", {"day": 69})
    assert [each.get("summary") for each in diary.read(workspace, "fraud")] == [None, "second"]
    assert diary.read(workspace, "fraud", from_day=70, until_day=71)[0]["day"] == 70
    assert diary.read(workspace, "biopsies") == []


def test_a_damaged_database_is_said(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.database.write_bytes(b"this is no database" * 100)
    for look in (diary.read, alerts.all_alerts):
        with pytest.raises(Damaged, match="can't be read"):
            look(workspace, "fraud")


def test_quality_names_a_day_without_events(tmp_path: Path) -> None:
    # given a day that was lost
    workspace = Workspace(Home(tmp_path))
    samples.completed(workspace)
    samples.answered(workspace, 70)
    with workspace.connect() as connection:
        connection.execute("DELETE FROM predictions WHERE day = 66")
    # when
    checks = {each["name"]: each for each in monitor(workspace, FRAUD, 70)["quality"]}
    # then
    assert not checks["Volume a day"]["passed"]
    assert "unusual on day 66" in checks["Volume a day"]["found"]
    assert all(each["passed"] for name, each in checks.items() if name != "Volume a day")
