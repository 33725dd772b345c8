"""What Deploy shows: who holds each stage since when and why, what served when, and how the gateway is.

Comes in: a workspace and a scenario. Goes out: plain values and a figure; nothing is drawn here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.parts import versions
from pages.parts.record import read_ledger
from pages.parts.story import promoted
from pages.parts.words import NARROW, clock, share
from pipelines import figures, promotion
from pipelines.errors import FlightdeckError
from pipelines.promotion import Promotion, Stage
from pipelines.scenarios.scenario import Scenario
from pipelines.services import ports
from pipelines.serving import client, prediction_log
from pipelines.settings import settings
from pipelines.workspace import Workspace

STAGES: tuple[Stage, ...] = get_args(Stage)
DOES = {
    "staging": "answers nobody: a place to look at it",
    "shadow": "answers along, and nobody gets its answers",
    "canary": "answers a part of the requests",
    "production": "answers every request",
}
ROLES: dict[str, figures.Role] = {
    "staging": "labels",
    "shadow": "shadow",
    "canary": "challenger",
    "production": "champion",
}
ROWS = 12  # Rows of the ledger that are listed.
SPANS = 40  # Stays that are drawn: the newest.
ANSWERS = 200  # Newest answers whose times are told.


@dataclass(frozen=True)
class Lane:
    """One stage: which version holds it, and the row of the ledger that put it there."""

    stage: Stage
    version: int | None
    share: float
    row: Promotion | None


@dataclass(frozen=True)
class Stay:
    """A version's time in a stage, in seconds since the epoch; `until` is None while it lasts."""

    stage: Stage
    version: int
    since: float
    until: float | None
    reason: str


@dataclass(frozen=True)
class Facts:
    """What was found in ledger and registry."""

    scenario: Scenario
    lanes: list[Lane]
    stays: list[Stay]
    promotions: list[Promotion]
    shelf: versions.Shelf
    before: int | None

    @property
    def serving(self) -> promotion.Serving:
        return self.shelf.serving


def gather(workspace: Workspace, scenario: Scenario) -> Facts:
    """Everything Deploy is about.

    Raises
    ------
    Damaged
        The workspace's database can't be read.
    """
    serving, rows = read_ledger(workspace, scenario.name)
    champions = promotion.champions(workspace, scenario.name)
    held = {stage: serving.champion if stage == "production" else getattr(serving, stage) for stage in STAGES}
    lanes = []
    for stage, version in held.items():
        put = [row for row in rows if row.stage == stage and row.version == version]
        row = put[-1] if put and version is not None else None
        lanes.append(Lane(stage, version, serving.share if stage == "canary" else 0.0, row))
    shelf = versions.gather(workspace, scenario)
    return Facts(scenario, lanes, stays(rows), rows, shelf, champions[-2] if len(champions) > 1 else None)


def stays(rows: list[Promotion]) -> list[Stay]:
    """Every version's times in its stages, oldest first, as the rows of one scenario say.

    A version holds one stage at a time and a stage one version: each row ends what it takes the place of.
    """
    open_: dict[Stage, Stay] = {}
    found: list[Stay] = []
    for row in rows:
        for stage, stay in list(open_.items()):
            if stage == row.stage or stay.version == row.version:
                found.append(Stay(stage, stay.version, stay.since, row.at, stay.reason))
                del open_[stage]
        if row.version is not None:
            open_[row.stage] = Stay(row.stage, row.version, row.at, None, row.reason)
    return sorted([*found, *open_.values()], key=lambda stay: stay.since)


def headline(facts: Facts) -> tuple[str, str]:
    """Who answers, as a title and a sentence."""
    serving, event = facts.serving, facts.scenario.event
    if serving.champion is None:
        waiting = next((entry.number for entry in facts.shelf.entries if entry.gate == "passed"), None)
        if waiting is None:
            return "Nothing serves yet", "A version serves once its gate is passed and it is promoted."
        return "Nothing serves yet", f"Version {waiting} has passed its gate. Promote it, and it answers."
    if serving.canary is not None:
        return f"Version {serving.champion} answers, version {serving.canary} takes {share(serving.share)}", (
            f"The canary lets a few {facts.scenario.events} find out whether a new version holds what its "
            "test promised, before all of them depend on it."
        )
    return f"Version {serving.champion} answers every {event}", (
        "To promote is to write one row into a ledger. Nothing is copied or restarted, and going back is one "
        "row more."
    )


def figure(facts: Facts, now: float | None = None) -> go.Figure:
    """Which version held which stage when: one bar a stay."""
    now = time.time() if now is None else now
    shown = facts.stays[-SPANS:]
    drawn = figures.new_figure(_finding(facts), height=250)
    began = min(stay.since for stay in shown)
    # A stay of seconds among days would be too thin to be seen, and its number too wide for it.
    least = max((now - began) / 60, 0.5)
    labelled = max((now - began) / 14, least)
    for stay in shown:
        until = max(stay.until or now, stay.since + least)
        look = figures.ROLES[ROLES[stay.stage]]
        drawn.add_bar(
            orientation="h",
            y=[stay.stage],
            x=[(until - stay.since) * 1000],
            base=[_moment(stay.since)],
            width=0.62,
            name=f"version {stay.version}",
            marker={"color": look.light, "line": {"color": figures.PANEL.light, "width": 1}},
            text=f"{stay.version}" if until - stay.since >= labelled else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"Version {stay.version} in {stay.stage}, {_when(stay)}<extra></extra>",
        )
        drawn.data[-1].update(textfont={"size": 13, "weight": 600, "color": figures.PANEL.light})
    drawn.update_layout(barmode="overlay", bargap=0.2, margin_t=12)
    drawn.update_xaxes(type="date", range=[_moment(began), _moment(now + (now - began) / 50 + 0.5)])
    drawn.update_yaxes(categoryorder="array", categoryarray=list(STAGES), range=[-0.6, 3.6], showgrid=False)
    told = "; ".join(f"version {stay.version} in {stay.stage}, {_when(stay)}" for stay in shown[-6:])
    figures.describe_as(drawn, f"The newest: {told}.")
    return drawn


def ledger(facts: Facts) -> pd.DataFrame:
    """The newest rows with their reasons."""
    rows: list[tuple[Any, ...]] = []
    for row in reversed(facts.promotions[-ROWS:]):
        at = f"day {row.day}" if row.day is not None else clock(row.at)
        rows.append((at, promoted(row), row.reason or "–"))
    return pd.DataFrame(rows, columns=["When", "What", "Why"])


def latencies(workspace: Workspace, scenario: Scenario) -> str:
    """How long the newest answers took, as the gateway logged it."""
    took = [each.latency_ms for each in prediction_log.recent(workspace, scenario.name, ANSWERS)]
    if not took:
        return "It has not been asked yet."
    middle, slow = np.percentile(took, [50, 95])
    if len(took) == 1:
        return f"Its only answer took {middle:.1f}{NARROW}ms."
    if min(took) == max(took):
        return f"Its {len(took)} newest answers were asked for together, and took {middle:.1f}{NARROW}ms."
    return (
        f"Of its {len(took)} newest answers half took less than {middle:.1f}{NARROW}ms, "
        f"95 of 100 less than {slow:.1f}{NARROW}ms."
    )


def gateway(workspace: Workspace, facts: Facts) -> tuple[bool, str]:
    """Whether the gateway answers, and with which version."""
    champion = facts.serving.champion
    if not ports.answers(settings().gateway_port, "/v2/health/live"):
        return False, "It does not answer. What is promoted is kept, and serves as soon as it runs: make run."
    if champion is None:
        return True, "It runs, and has nothing to serve."
    try:
        loaded = client.ready(workspace.name, facts.scenario.name, champion)
    except FlightdeckError as error:
        return False, error.message
    if not loaded:
        return False, f"It runs, and is still loading version {champion}."
    return True, f"It answers with version {champion}."


def _finding(facts: Facts) -> str:
    champions = [stay for stay in facts.stays if stay.stage == "production"]
    if not champions:
        return "No version has answered a request yet"
    now = champions[-1]
    before = f"; before it, version {champions[-2].version} did" if len(champions) > 1 else ""
    return f"Version {now.version} has answered since {clock(now.since)}{before}"


def _when(stay: Stay) -> str:
    since = clock(stay.since)
    return f"since {since}" if stay.until is None else f"{since} to {clock(stay.until)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).isoformat(timespec="milliseconds")
