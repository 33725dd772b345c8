"""What Monitor shows: how the champion stands, by the diary of its days, its alerts and its drift.

Comes in: a workspace and a scenario. Goes out: words, rows and figures; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from pages.parts import passing
from pages.parts.record import newest_records, read_ledger
from pages.parts.words import plain
from pipelines import promotion
from pipelines.errors import FlightdeckError
from pipelines.monitoring import alerts, diary, plots
from pipelines.monitoring.alerts import Alert
from pipelines.monitoring.reference import SCORE, find_reference
from pipelines.monitoring.report import monitor
from pipelines.monitoring.rules import is_below
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.logged import newest_day, read_logged
from pipelines.workspace import Workspace

SHOWN_EVENTS = 4  # More dotted lines than this hide the curve.


@dataclass(frozen=True)
class Facts:
    """Everything Monitor is about.

    Attributes
    ----------
    reports : list of dict
        The diary; where it has no page for today, today's report is its last.
    waiting, retraining : bool
        Whether days are being played, and whether a run goes on.
    """

    scenario: Scenario
    champion: int | None
    promotions: list[promotion.Promotion]
    day: int | None
    reports: list[dict[str, Any]]
    open: list[Alert]
    all: list[Alert]
    playing: bool
    retraining: str
    problem: FlightdeckError | None = field(default=None)

    @property
    def report(self) -> dict[str, Any] | None:
        """The newest report."""
        return self.reports[-1] if self.reports else None

    @property
    def decayed(self) -> Alert | None:
        """The alert that says that the model is worse."""
        return next(
            (each for each in self.open if each.rule == "performance" and each.version == self.champion), None
        )


def look(workspace: Workspace, scenario: Scenario) -> Facts:
    """Everything Monitor shows.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, promotions = read_ledger(workspace, scenario.name)
    # Asked before the days are read: after the last one they are whole, and else the page looks again.
    playing = passing.is_playing(workspace, scenario)
    reports = diary.read(workspace, scenario.name)
    problem: FlightdeckError | None = None
    day = passing.today(workspace, scenario)
    if serving.champion is not None and newest_day(workspace, scenario.name) is not None:
        try:
            reports = _with_today(workspace, scenario, reports, day)
        except FlightdeckError as error:
            problem = error
    records = newest_records(workspace, scenario.name)
    going_on = [each.run_id for each in records if not each.state.finished]
    return Facts(
        scenario,
        serving.champion,
        promotions,
        day,
        reports,
        alerts.open_alerts(workspace, scenario.name),
        alerts.all_alerts(workspace, scenario.name),
        playing,
        going_on[0] if going_on else "",
        problem,
    )


def headline(facts: Facts) -> tuple[str, str]:
    """How the model stands, in words, and one sentence that says what matters."""
    scenario, report = facts.scenario, facts.report
    if facts.champion is None:
        return "Nothing serves yet", "Once a version answers, here is whether it is still right."
    if report is None:
        return (
            f"Version {facts.champion} waits for its first {scenario.event}",
            f"Nothing has been sent yet. As {scenario.events} come in, you see here whether they are what it "
            "learnt from, and, once labels come, whether it is right.",
        )
    if report["version"] != facts.champion:
        return (
            f"Day {report['day']}: version {facts.champion} has taken over",
            f"Its labels come {scenario.label_delay_days} days after its first {scenario.events}; what is "
            f"measured below is version {report['version']}.",
        )
    found = report["performance"]["metrics"]["alert_precision"]
    promised = report["performance"]["promised"]["metrics"]["alert_precision"]
    if found is None:
        return f"Day {report['day']}: no label has come yet", plain(report["summary"])
    if facts.decayed is not None and promised is not None:
        title = f"Day {report['day']}: of 100 alerts {100 * found:.0f} are right, it was {100 * promised:.0f}"
        return title, _why(facts)
    return f"Day {report['day']}: of 100 alerts {100 * found:.0f} are right", plain(report["summary"])


def _why(facts: Facts) -> str:
    """What to know about a model that has become worse."""
    drifted = [each for each in facts.open if each.rule in ("input_drift", "score_drift")]
    assert facts.decayed is not None  # asked only then
    words = f"It has been less right than promised since day {facts.decayed.opened}."
    performance = facts.report["performance"] if facts.report else {}
    if performance and not is_below(performance, "alert_precision"):
        # Its alerts are as right as ever, so what the title says would not explain the alert.
        found, promised = (each["metrics"]["share_found"] for each in (performance, performance["promised"]))
        if found is not None and promised is not None and found < promised:
            words += (
                f" Of 100 that are {plain(facts.scenario.positive)} it finds {100 * found:.0f}; "
                f"it was {100 * promised:.0f}."
            )
    if drifted:
        first = min(each.opened for each in drifted)
        words += f" What comes in changed before that: seen on day {first}, without any label."
    return words


def performance_figure(facts: Facts) -> go.Figure:
    """How right the alerts were by day, with releases and alerts marked."""
    happened: list[tuple[float, str]] = [
        (row.day, f"version {row.version}")
        for row in facts.promotions
        if row.stage == "production" and row.day is not None
    ]
    happened += [(each.opened, _WORD[each.rule]) for each in facts.all if each.rule in _WORD]
    shown = sorted(happened)[-SHOWN_EVENTS:]
    return plots.performance(facts.scenario, facts.reports, shown)


_WORD = {"performance": "alert", "input_drift": "drift"}


def drift_figure(facts: Facts) -> go.Figure | None:
    """The dot of each column, the worst on top; None without enough answers."""
    report = facts.report
    return plots.drift_dots(report["drift"]["columns"]) if report and report["drift"] else None


def columns(facts: Facts) -> list[str]:
    """The columns that were compared, the worst first."""
    report = facts.report
    return [each["name"] for each in report["drift"]["columns"]] if report and report["drift"] else []


def column_figure(workspace: Workspace, facts: Facts, name: str) -> go.Figure:
    """One column before and now.

    Raises
    ------
    FlightdeckError
        The log or the reference can't be read.
    """
    report = facts.report
    assert report is not None  # a column was chosen of it
    reference = find_reference(workspace, facts.scenario)
    first, until = report["drift"]["days"]
    answered = read_logged(workspace, facts.scenario, first, until)
    found = next(each for each in report["drift"]["columns"] if each["name"] == name)
    verdict = "has moved" if found["alarm"] else "is as it was"
    unit = next((column.unit for column in facts.scenario.columns if column.name == name), "")
    label = f"{name} in {unit}" if unit else name
    now = answered[SCORE].where(answered["version"] == reference.version) if name == SCORE else answered[name]
    return plots.distributions(reference.features[name], now, f"{name} {verdict}", label)


def checks(facts: Facts) -> pd.DataFrame:
    """The quality checks as a table."""
    report = facts.report
    rows = [
        ("passed" if each["passed"] else "failed", each["name"], each["found"], each["expected"])
        for each in (report["quality"] if report else [])
    ]
    return pd.DataFrame(rows, columns=["", "Check", "Found", "Expected"])


def _with_today(
    workspace: Workspace,
    scenario: Scenario,
    reports: list[dict[str, Any]],
    day: int | None,
) -> list[dict[str, Any]]:
    """The diary; before the world has played a day, a report on what was sent by hand."""
    if day is None or reports:
        return reports
    return [monitor(workspace, scenario, day, resamples=50)]
