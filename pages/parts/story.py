"""What Home tells: how your model stands, what each stage made, what happened last and what comes next.

Comes in: a workspace and a scenario. Goes out: words and numbers, all from real runs; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from pages.parts import production, rooms
from pages.parts.loop import Centre, Node
from pages.parts.opened import making, opening_share
from pages.parts.stages import STAGES, Facts, destination, gather, node, stage_of
from pages.parts.words import article, clock, plain, seconds, several, share, spelt
from pipelines import promotion
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

NOTEBOOKS, MONITOR = rooms.file_of(rooms.NOTEBOOKS), rooms.file_of(rooms.MONITOR)

Does = Literal["go", "run", "retrain", "week"]


@dataclass(frozen=True)
class Next:
    """The one thing to do next: why, what the button says, what it does, and where it leads.

    Attributes
    ----------
    does : {"go", "run", "retrain", "week"}
        Only go there; or first start the road, retrain, or let a week pass.
    stage : str
        The stage of the loop it is about, if it is about one.
    """

    words: str
    button: str
    page: str
    query: dict[str, str]
    does: Does = "go"
    stage: str = ""


@dataclass(frozen=True)
class Story:
    """All that Home shows. `status` changes when the title does; `live` while something goes on.

    Attributes
    ----------
    money : Figure or None
        What the days were worth; None before that is known.
    opening : float or None
        How far the ready-made world is, from 0 to 1, while it is being made.
    """

    title: str
    sentence: str
    nodes: list[Node]
    centre: Centre
    next: Next
    latest: list[tuple[str, str]]
    report: dict[str, Any] | None
    money: go.Figure | None
    opening: float | None
    live: bool
    status: str


def tell(workspace: Workspace, scenario: Scenario) -> Story:
    """The story of one scenario in this workspace.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    facts = gather(workspace, scenario)
    tested = facts.tested
    report = tested.report("evaluation") if tested else None
    following = _next(facts, workspace)
    found = facts.production
    title, sentence = _headline(facts, report)
    return Story(
        title=title,
        sentence=sentence,
        nodes=[node(facts, name, following.stage) for name in STAGES],
        centre=_centre(facts, report),
        next=following,
        latest=_latest(facts),
        report=report if report and report.get("by_day") else None,
        money=production.figure(found, scenario, facts.promotions),
        opening=opening_share(facts),
        live=found.live or (facts.newest is not None and not facts.newest.state.finished),
        status=(f"{facts.newest.run_id} {facts.newest.state.status} " if facts.newest else "") + found.status,
    )


def _headline(facts: Facts, report: dict[str, Any] | None) -> tuple[str, str]:
    """How the model stands: what is being made or went wrong, else in money, else who answers."""
    newest, found = facts.newest, facts.production
    told = making(facts)
    if told is not None:
        return told
    in_money = production.title(found, facts.scenario)
    ended_well = newest is None or newest.state.status in ("completed", "cancelled")
    if in_money is not None and ended_well and facts.serving.canary is None:
        return in_money, production.sentence(found, facts.scenario)
    if found.clock is not None and found.clock.state == "playing" and ended_well:
        version = f"Version {facts.serving.champion} answers"
        return "Days are passing", f"{version}; what it was worth is known once the labels have come."
    return _title(facts), _sentence(facts, report)


def _title(facts: Facts) -> str:
    newest, serving, event = facts.newest, facts.serving, facts.scenario.event
    if newest is None:
        return "You have no model yet"
    state = newest.state
    if state.status == "running":
        return "Your first model is being made" if serving.champion is None else "A new model is being made"
    if state.status == "queued":
        return "Your run is waiting"
    if state.status == "failed" and state.current:
        return f"Your last run stopped at: {LIFECYCLE.step(state.current.name).title.lower()}"
    if serving.canary is not None:
        return f"Version {serving.canary} answers {share(serving.share)} of the {facts.scenario.events}"
    if serving.champion is not None:
        return f"Version {serving.champion} answers every {event}"
    if newest.gate is False:
        return "The gate stopped your model"
    if newest.done("register"):
        return "Your model is made, but answers nobody yet"
    return "Your model is not made yet"


def _sentence(facts: Facts, report: dict[str, Any] | None) -> str:
    newest, scenario = facts.newest, facts.scenario
    if newest is None:
        return (
            f"{scenario.question} {spelt(len(LIFECYCLE.road)).capitalize()} notebooks lead from raw "
            f"{scenario.events} to a model that answers. "
            "Run them once; each stage then shows what it made."
        )
    if newest.state.status == "failed":
        kept = f" Version {facts.serving.champion} goes on answering." if facts.serving.champion else ""
        return plain(newest.state.cause) + kept
    if newest.state.status in ("queued", "running"):
        kept = (
            f"Version {facts.serving.champion} goes on answering meanwhile." if facts.serving.champion else ""
        )
        return kept or "Each notebook shows its cells as they run. You can watch, or come back later."
    if facts.serving.champion is None and newest.gate is False and report is not None:
        broken = [reason for reason in report["gate"]["reasons"] if not reason["passed"]]
        return plain(f"{broken[0]['rule']}: {broken[0]['found']}.") if broken else ""
    if not newest.done("evaluate") and facts.serving.champion is None:
        return "The last run ended before the model was tested. Go on where it ended."
    return _quality(report)


def _quality(report: dict[str, Any] | None) -> str:
    """How good the tested model is, in words before names."""
    if report is None or report.get("metrics") is None:
        return "Its test could not be measured."
    found, without = report["metrics"]["card_precision"], report["baseline"]["card_precision"]
    if found is None or without is None:
        return "Its test could not be measured."
    if without <= 0:
        return "Without a model, not one of its alerts would have been right."
    return f"Its alerts were right **{found / without:.1f} times as often** as without a model."


def _centre(facts: Facts, report: dict[str, Any] | None) -> Centre:
    """How often the model is right, in production or else in its test; before that, how far the run is."""
    week = facts.production.week
    if week is not None and week.flagged:
        number = f"{100 * week.right / week.flagged:.0f} of 100"
        return Centre(
            number, f"alerts are {facts.scenario.positive}", f"days {week.first_day} to {week.last_day}"
        )
    if report is None or report.get("metrics") is None or report["metrics"]["card_precision"] is None:
        done = sum(facts.newest.done(name) for name in LIFECYCLE.road) if facts.newest else 0
        return Centre(f"{done} of {len(LIFECYCLE.road)}", "steps done")
    low, high = report["intervals"]["card_precision"]
    between = f"95% interval: {low * 100:.0f} to {high * 100:.0f}" if None not in (low, high) else ""
    number = f"{report['metrics']['card_precision'] * 100:.0f} of 100"
    return Centre(number, f"alerts are {facts.scenario.positive}", between)


def _next(facts: Facts, workspace: Workspace) -> Next:
    newest, scenario, serving = facts.newest, facts.scenario, facts.serving
    query = {"scenario": scenario.name}
    if newest is None:
        words = f"Runs all {spelt(len(LIFECYCLE.road))} notebooks as they come."
        query |= {"step": LIFECYCLE.road[0]}
        return Next(words, "Make a model", NOTEBOOKS, query, does="run", stage="data")
    query |= {"run": newest.run_id}
    current = newest.state.current
    if newest.state.status in ("queued", "running"):
        return Next("Watch the notebooks run, cell by cell.", "Watch the run", NOTEBOOKS, query)
    if newest.state.status == "failed" and current:
        query |= {"step": current.name}
        words = "See the cause and what to try."
        return Next(words, "Look at the failure", NOTEBOOKS, query, stage=stage_of(current.name))
    if newest.gate is False:
        query |= {"step": "evaluate"}
        return Next("Read what the gate found.", "Read the evaluation", NOTEBOOKS, query, stage="evaluate")
    if serving.champion is None:
        first = next((name for name in LIFECYCLE.road if not newest.done(name)), LIFECYCLE.road[-1])
        words = f"The next step is to {LIFECYCLE.step(first).title.lower()}."
        query |= {"step": first, "view": "params"}
        return Next(words, "Go on", NOTEBOOKS, query, stage=stage_of(first))
    if facts.production.clock is None and not facts.predictions:
        page, more = destination("serve")
        words = f"Send {article(scenario.event)} by hand and see its score."
        return Next(words, "Ask the model", page, {"scenario": scenario.name} | more, stage="serve")
    return _next_in_production(facts, workspace)


def _next_in_production(facts: Facts, workspace: Workspace) -> Next:
    """What follows once a model serves: look at what is open, retrain when that can help, let time pass."""
    found, scenario = facts.production, facts.scenario
    query = {"scenario": scenario.name}
    home = rooms.file_of(rooms.HOME)
    if found.clock is not None and found.clock.state == "playing":
        page, more = destination("evaluate")
        return Next("Meanwhile: how it was tested.", "Read the evaluation", page, query | more)
    if any(alert.state == "open" for alert in found.alerts):
        return Next(
            "What was found, and what to do about it.", "Look at the alert", MONITOR, query, stage="monitor"
        )
    worth, why = production.advice(found, workspace, scenario)
    if worth:
        return Next(why, "Retrain", NOTEBOOKS, query, does="retrain", stage="train")
    if found.clock is not None and found.clock.day + 7 > found.clock.last_day:
        query |= {"step": "train", "view": "params"}
        return Next("Its world is over; the gate decides.", "Train another", NOTEBOOKS, query, stage="train")
    words = why or f"The world's {scenario.events} go to your model; labels come later."
    return Next(words, "Let a week pass", home, query, does="week", stage="serve")


def _latest(facts: Facts) -> list[tuple[str, str]]:
    """The three newest things: alerts by day; runs that ended and changes of what serves by the clock."""
    alerts = sorted(facts.production.alerts, key=lambda alert: -alert.opened)[:2]
    told = [(f"Day {alert.opened}", str(alert.title)) for alert in alerts]
    return told + [(clock(at), words) for at, words in _happened(facts)][: 3 - len(told)]


def _happened(facts: Facts) -> list[tuple[float, str]]:
    """Runs that ended and changes of what serves, newest first."""
    happened: list[tuple[float, str]] = []
    for record in facts.records[:5]:
        ended = record.state.finished_at
        if ended is not None:
            took = f" after {seconds(record.seconds)}" if record.seconds is not None else ""
            count = several(len(record.run.steps), "step", "steps")
            failed = record.state.status == "failed"
            words = "A run failed" if failed else f"A run of {count} was {record.state.status}"
            happened.append((ended, words + took))
        elif record.state.started_at is not None:
            happened.append((record.state.started_at, "A run started"))
        evaluated = record.state.steps.get("evaluate")
        if evaluated is not None and evaluated.seconds is not None and record.gate is not None:
            at = (evaluated.started_at or record.began) + evaluated.seconds
            happened.append((at, "The gate was passed" if record.gate else "The gate stopped a model"))
    happened += [(row.at, promoted(row)) for row in facts.promotions[-3:]]
    return sorted(happened, reverse=True)


def promoted(row: promotion.Promotion) -> str:
    """One row of the ledger in words."""
    if row.action == "withdraw" or row.version is None:
        return f"The {row.stage} was ended"
    if row.action == "rollback":
        return f"Rolled back to version {row.version}"
    if row.stage == "canary" and row.share is not None:
        return f"Version {row.version} became the canary, with {share(row.share)}"
    if row.stage == "production":
        return f"Version {row.version} became the champion"
    return f"Version {row.version} went to {row.stage}"
