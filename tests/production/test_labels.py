"""Labels as in life, over real HTTP: told to those who wait for one, and monitoring that knows which come."""

from __future__ import annotations

from incident_samples import DAY, watched
from real_gateway import Gateway
from world_samples import now, play

from pipelines.monitoring import alerts, diary, plots
from pipelines.production.rewinding import rewind
from pipelines.scenarios import find_scenario
from pipelines.serving import labelling
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")


def told(workspace: Workspace, day: int) -> dict[bool, tuple[int, int]]:
    """By whether an alert was raised: answers of a day, and those of them with a label."""
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT p.decision, count(*), count(f.label) FROM predictions p LEFT JOIN feedback f "
            "USING (scenario, branch, world, event_id) WHERE p.day = ? AND p.branch = ? GROUP BY 1",
            (day, now(workspace).branch),
        ).fetchall()
    return {bool(row[0]): (row[1], row[2]) for row in rows}


def test_investigated_alerts_and_a_sample_are_labelled_and_nobody_is_alarmed(
    gateway: Gateway, workspace: Workspace
) -> None:
    # given two days of which every outcome becomes known, then only alerts and one in ten of the rest
    watched(workspace)
    play(workspace, 2)
    labelling.choose(workspace, "fraud", DAY + 2, "investigated", 0.1)
    play(workspace, 15)

    # then labels came as the rule of the event's day says
    assert all(answered == known for answered, known in told(workspace, DAY + 1).values())
    by_alert = told(workspace, DAY + 3)
    assert by_alert[True][0] == by_alert[True][1]
    assert 0.06 < by_alert[False][1] / by_alert[False][0] < 0.14

    # and monitoring waits for these alone, and measures with them
    report = diary.read(workspace, "fraud")[-1]
    assert [check["name"] for check in report["quality"] if not check["passed"]] == []
    assert "labels" not in {alert.rule for alert in alerts.all_alerts(workspace, "fraud")}
    measured = report["performance"]
    assert measured["status"] == "measured"
    low, high = measured["intervals"]["alert_precision"]
    assert low <= measured["metrics"]["alert_precision"] <= high
    newest = measured["backlog_days"][0]
    assert newest["never"] > 1500
    assert newest["overdue"] == 0
    assert "will never get a label" in str(plots.backlog(FRAUD, report).layout.title.text)

    # and going back before it was chosen, every outcome becomes known again
    rewind(workspace, "fraud", DAY + 2)
    assert labelling.rules(workspace, "fraud") == ()


def test_where_no_alert_is_labelled_nothing_is_said_of_alerts(gateway: Gateway, workspace: Workspace) -> None:
    watched(workspace)
    play(workspace, 1)
    labelling.choose(workspace, "fraud", DAY + 1, "blocked", 0.0)
    play(workspace, 16)
    assert told(workspace, DAY + 3)[True][1] == 0
    report = diary.read(workspace, "fraud")[-1]
    assert report["performance"]["status"] == "blind"
    assert report["summary"] == "Alerts get no label, so nobody can say whether they are right."
    assert report["performance"]["metrics"]["alert_precision"] is None
    # it was chosen, so no alarm is raised about it
    assert [check["name"] for check in report["quality"] if not check["passed"]] == []


def test_an_estimate_is_held_against_what_labels_said_of_the_same_days(
    gateway: Gateway, workspace: Workspace
) -> None:
    watched(workspace)
    play(workspace, 9)
    assert plots.estimates(diary.read(workspace, "fraud")) is None
    play(workspace, 9)
    figure = plots.estimates(diary.read(workspace, "fraud"))
    assert figure is not None
    assert str(figure.layout.title.text).startswith("Without labels the estimate was")
