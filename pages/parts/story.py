"""What Home tells: how your model stands, what each stage made, what happened last and what comes next.

Comes in: a workspace and a scenario. Goes out: words and numbers, all from real runs; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.parts import rooms
from pages.parts.loop import Centre, Node
from pages.parts.stages import STAGES, Facts, gather, node
from pages.parts.words import article, plain, seconds, several, share, spelt
from pipelines import promotion
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

NOTEBOOKS, SERVE = rooms.file_of(rooms.NOTEBOOKS), rooms.file_of("serve")


@dataclass(frozen=True)
class Next:
    """The one thing to do next: why, what the button says, and where it leads."""

    words: str
    button: str
    page: str
    query: dict[str, str]
    starts: bool = False

    @property
    def stage(self) -> str:
        """The stage of the loop it is about, if it is about one."""
        return "serve" if self.page == SERVE else self.query.get("step", "")


@dataclass(frozen=True)
class Story:
    """All that Home shows. `status` changes when the title does; `live` while a run goes on."""

    title: str
    sentence: str
    nodes: list[Node]
    centre: Centre
    next: Next
    latest: list[tuple[float, str]]
    report: dict[str, Any] | None
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
    following = _next(facts)
    return Story(
        title=_title(facts),
        sentence=_sentence(facts, report),
        nodes=[node(facts, name, following.stage) for name in STAGES],
        centre=_centre(facts, report),
        next=following,
        latest=_latest(facts),
        report=report if report and report.get("by_day") else None,
        live=facts.newest is not None and not facts.newest.state.finished,
        status=f"{facts.newest.run_id} {facts.newest.state.status}" if facts.newest else "",
    )


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
    """How often the model is right; before anything was tested, how far the run is."""
    if report is None or report.get("metrics") is None or report["metrics"]["card_precision"] is None:
        done = sum(facts.newest.done(name) for name in LIFECYCLE.road) if facts.newest else 0
        return Centre(f"{done} of {len(LIFECYCLE.road)}", "steps done")
    low, high = report["intervals"]["card_precision"]
    between = f"95% interval: {low * 100:.0f} to {high * 100:.0f}" if None not in (low, high) else ""
    number = f"{report['metrics']['card_precision'] * 100:.0f} of 100"
    return Centre(number, f"alerts are {facts.scenario.positive}", between)


def _next(facts: Facts) -> Next:
    newest, scenario, serving = facts.newest, facts.scenario, facts.serving
    query = {"scenario": scenario.name}
    if newest is None:
        return Next(
            f"Runs all {spelt(len(LIFECYCLE.road))} notebooks as they come.",
            "Make a model",
            NOTEBOOKS,
            query | {"step": "ingest"},
            starts=True,
        )
    query |= {"run": newest.run_id}
    current = newest.state.current
    if newest.state.status in ("queued", "running"):
        return Next("Watch the notebooks run, cell by cell.", "Watch the run", NOTEBOOKS, query)
    if newest.state.status == "failed" and current:
        return Next(
            "See the cause and what to try.",
            "Look at the failure",
            NOTEBOOKS,
            query | {"step": current.name},
        )
    if newest.gate is False:
        return Next(
            "Read what the gate found.",
            "Read the evaluation",
            NOTEBOOKS,
            query | {"step": "evaluate"},
        )
    if serving.champion is None:
        first = next((name for name in LIFECYCLE.road if not newest.done(name)), LIFECYCLE.road[-1])
        title = LIFECYCLE.step(first).title.lower()
        return Next(
            f"The next step is to {title}.", "Go on", NOTEBOOKS, query | {"step": first, "view": "params"}
        )
    if not facts.predictions:
        return Next(
            f"Send {article(scenario.event)} by hand and see its score.",
            "Ask the model",
            SERVE,
            {"scenario": scenario.name},
        )
    return Next(
        "Try other params; the gate decides.",
        "Train another",
        NOTEBOOKS,
        query | {"step": "train", "view": "params"},
    )


def _latest(facts: Facts) -> list[tuple[float, str]]:
    """The three newest things that happened: runs that ended, and changes of what serves."""
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
    return sorted(happened, reverse=True)[:3]


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
