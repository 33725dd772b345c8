"""What Serve shows: who serves, one answer and its place among others, and the ledger in words.

Comes in: a workspace and a scenario. Goes out: plain values and a figure; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from pages.parts.record import Record, newest_records, read_ledger, record_of_version
from pages.parts.story import promoted
from pages.parts.words import NARROW, clock, plain, share
from pipelines import figures, promotion, tracking
from pipelines.errors import FlightdeckError, Missing, Unavailable
from pipelines.scenarios.scenario import Scenario
from pipelines.services import ports
from pipelines.serving import prediction_log
from pipelines.serving.predictions import Prediction
from pipelines.settings import settings
from pipelines.workspace import Workspace

SHOWN = 8  # Rows of the table of latest answers.
COMPARED = 200  # Scores that a new one is shown among.


@dataclass(frozen=True)
class Facts:
    """What was found in the ledger, the prediction log and the runs."""

    scenario: Scenario
    serving: promotion.Serving
    promotions: list[promotion.Promotion]
    recent: list[Prediction]
    shown: Prediction | None
    record: Record | None
    version_url: str
    problem: FlightdeckError | None

    @property
    def card(self) -> dict[str, Any]:
        """What training wrote about the champion; empty when its run is gone."""
        return (self.record.card() if self.record else None) or {}

    @property
    def threshold(self) -> float | None:
        """The score from which on the champion raises an alert."""
        found = self.card.get("threshold")
        return float(found) if found is not None else None


def look(workspace: Workspace, scenario: Scenario, prediction_id: str) -> Facts:
    """Everything Serve is about; the answer shown is the one named, else the newest.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, promotions = read_ledger(workspace, scenario.name)
    recent = prediction_log.recent(workspace, scenario.name, COMPARED)
    shown = recent[0] if recent else None
    problem: FlightdeckError | None = None
    if prediction_id:
        try:
            found = prediction_log.trace(workspace, prediction_id)
            shown = found if found.stream.scenario == scenario.name else shown
        except Missing as error:
            problem = error
    record = None
    if serving.champion is not None:
        record = record_of_version(newest_records(workspace, scenario.name), serving.champion)
    return Facts(
        scenario,
        serving,
        promotions,
        recent,
        shown,
        record,
        tracking.version_url(scenario.name, serving.champion or 0, workspace.name),
        problem,
    )


def headline(facts: Facts) -> tuple[str, str]:
    """Who answers, and when it raises an alert."""
    serving, scenario = facts.serving, facts.scenario
    if serving.champion is None:
        return "Nothing serves yet", f"{scenario.question} No version has been deployed, so nobody answers."
    if serving.canary is not None:
        title = f"Version {serving.champion} answers, version {serving.canary} takes {share(serving.share)}"
    else:
        title = f"Version {serving.champion} answers every {scenario.event}"
    if facts.threshold is None:
        return title, f"{scenario.question} It answers with a score from 0 to 1."
    return title, (
        f"{scenario.question} It answers with a score from 0 to 1, and raises an alert from "
        f"**{_score(facts.threshold)}** on."
    )


def verdict(shown: Prediction) -> str:
    """The decision in words."""
    said = "an alert" if shown.decision else "no alert"
    return f"{_score(shown.score)}: {said}"


def trace(shown: Prediction) -> str:
    """By what the answer can be traced."""
    took = f"{shown.latency_ms:.1f}{NARROW}ms"
    return (
        f"Version {shown.version} as {shown.route}, in {took} at {clock(shown.at)}. "
        f"Prediction id `{plain_code(shown.prediction_id)}`."
    )


def cold_starts(shown: Prediction) -> list[str]:
    """What the model could not know, because it never met it before."""
    names = [name for name in shown.cold_start.split(",") if name]
    return [
        f"{plain(name.removesuffix('_id').capitalize())} {plain(shown.event.get(name))} was never seen: "
        "the model knows nothing of its past."
        for name in names
    ]


def figure(facts: Facts, shown: Prediction) -> go.Figure:
    """Where this score lies, among the latest answers and the rows kept with the model."""
    scenario = facts.scenario
    drawn = figures.new_figure("Where does this score lie?", x="Score", height=200)
    golden = facts.card.get("golden_scores", [])
    others = [each.score for each in facts.recent if each.prediction_id != shown.prediction_id]
    names = ["kept with the model", "latest answers", f"this {scenario.event}"]
    figures.ticks(drawn, golden, 0, "reference")
    figures.ticks(drawn, others, 1, "champion")
    figures.points(drawn, [shown.score], [2], "champion")
    if facts.threshold is not None:
        figures.event(drawn, facts.threshold, f"alert from {_score(facts.threshold)}")
    drawn.update_xaxes(range=[-0.02, 1.02])
    drawn.update_yaxes(tickvals=[0, 1, 2], ticktext=names, range=[-0.6, 3.2], showgrid=False)
    above = sum(score < shown.score for score in others)
    words = f"This score is {_score(shown.score)}."
    if others:
        words += f" It is higher than {above} of the {len(others)} latest answers."
    figures.describe_as(drawn, words)
    return drawn


def features(facts: Facts, shown: Prediction) -> pd.DataFrame:
    """The row that the model saw."""
    names = facts.card.get("features") or [feature.name for feature in facts.scenario.features]
    values = prediction_log.features_of(shown)
    return pd.DataFrame(
        [(name, f"{value:,.5g}") for name, value in zip(names, values, strict=False)],
        columns=["Feature", "Value"],
    )


def table(recent: list[Prediction]) -> pd.DataFrame:
    """The latest answers, newest first."""
    rows = [
        (
            clock(each.at),
            _score(each.score),
            "alert" if each.decision else "none",
            str(each.version) if each.route == "champion" else f"{each.version}, {each.route}",
            f"{each.latency_ms:.1f}{NARROW}ms",
        )
        for each in recent[:SHOWN]
    ]
    return pd.DataFrame(rows, columns=["Time", "Score", "Alert", "Version", "Took"])


def ledger(facts: Facts) -> list[tuple[float, str]]:
    """The newest changes of what serves."""
    return [(row.at, promoted(row)) for row in reversed(facts.promotions[-5:])]


def plain_code(text: str) -> str:
    """`text` for between backticks."""
    return text.replace("`", "'")


def _score(score: float) -> str:
    return f"{score:.3f}" if score < 0.1 else f"{score:.2f}"


def gateway_problem() -> FlightdeckError | None:
    """Why nothing can be sent now, if the gateway does not answer."""
    if ports.answers(settings().gateway_port, "/v2/health/live"):
        return None
    return Unavailable(
        "The gateway is not answering, so nothing can be sent. What was answered before is kept.",
        "Start everything with make run; then send again.",
    )
