"""What Home tells: how your model stands, what each stage made, what happened last and what comes next.

Comes in: a workspace and a scenario. Goes out: words and numbers, all from real runs; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.parts.loop import Centre, Node
from pages.parts.record import Record, newest_records, read_ledger, record_of_version
from pages.parts.words import article, plain, seconds, several, share
from pipelines import promotion
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import prediction_log
from pipelines.workspace import Workspace

STAGES = {
    "ingest": "Collect",
    "features": "Features",
    "train": "Train",
    "evaluate": "Evaluate",
    "register": "Register",
    "deploy": "Deploy",
    "serve": "Serve",
}
COUNTED = 500  # Predictions that are counted one by one.


@dataclass(frozen=True)
class Next:
    """The one thing to do next: why, what the button says, and where it leads."""

    words: str
    button: str
    page: str
    query: dict[str, str]
    starts: bool = False


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


@dataclass(frozen=True)
class Facts:
    """What was found on disk, from which the story is told."""

    scenario: Scenario
    records: list[Record]
    serving: promotion.Serving
    promotions: list[promotion.Promotion]
    predictions: int

    @property
    def newest(self) -> Record | None:
        return self.records[0] if self.records else None

    def newest_with(self, step: str) -> Record | None:
        """The newest run that completed `step` itself."""
        return next((each for each in self.records if step in each.run.steps and each.done(step)), None)

    @property
    def tested(self) -> Record | None:
        """The run whose test is shown: of the version that serves, else the newest that was tested."""
        champion = self.serving.champion
        found = record_of_version(self.records, champion) if champion else None
        return found or self.newest_with("evaluate")


def tell(workspace: Workspace, scenario: Scenario) -> Story:
    """The story of one scenario in this workspace.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, promotions = read_ledger(workspace, scenario.name)
    facts = Facts(
        scenario,
        newest_records(workspace, scenario.name),
        serving,
        promotions,
        len(prediction_log.recent(workspace, scenario.name, COUNTED)),
    )
    tested = facts.tested
    report = tested.report("evaluation") if tested else None
    following = _next(facts)
    return Story(
        title=_title(facts),
        sentence=_sentence(facts, report),
        nodes=[_node(facts, name, following) for name in STAGES],
        centre=_centre(facts.scenario, report),
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
    if _gate(newest) is False:
        return "The gate stopped your model"
    if newest.done("register"):
        return "Your model is made, but answers nobody yet"
    return "Your model is not made yet"


def _sentence(facts: Facts, report: dict[str, Any] | None) -> str:
    newest, scenario = facts.newest, facts.scenario
    if newest is None:
        return (
            f"{scenario.question} Six notebooks lead from raw {scenario.events} to a model that answers. "
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
    if facts.serving.champion is None and _gate(newest) is False and report is not None:
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


def _centre(scenario: Scenario, report: dict[str, Any] | None) -> Centre:
    if report is None or report.get("metrics") is None or report["metrics"]["card_precision"] is None:
        return Centre("—", f"of 100 alerts are {scenario.positive}", "not measured yet")
    low, high = report["intervals"]["card_precision"]
    between = f"95% interval: {low * 100:.0f} to {high * 100:.0f}" if None not in (low, high) else ""
    return Centre(
        f"{report['metrics']['card_precision'] * 100:.0f} of 100",
        f"alerts are {scenario.positive}",
        between,
    )


def _node(facts: Facts, name: str, following: Next) -> Node:
    """One stage of the loop, with one fact from the newest run that got there."""
    title, newest = STAGES[name], facts.newest
    wanted = following.query.get("step", "serve" if following.page == "pages/serve.py" else "")
    if name == "serve":
        if facts.predictions:
            many = "500 or more answers" if facts.predictions >= COUNTED else ""
            return Node(name, title, "done", many or several(facts.predictions, "answer", "answers"))
        return Node(name, title, "next" if wanted == name else "none", "send one" if wanted == name else "")
    step = newest.state.steps.get(name) if newest else None
    if step is not None and newest is not None and not newest.done(name):
        if step.status == "running":
            return Node(
                name, title, "running", f"cell {min(step.cells_done + 1, step.cells)} of {step.cells}"
            )
        if step.status in ("failed", "cancelled"):
            return Node(name, title, "failed" if step.status == "failed" else "none", step.status)
    record = facts.newest_with(name)
    if record is None:
        return Node(name, title, "next" if wanted == name else "none", "start here" if wanted == name else "")
    if name == "evaluate" and _gate(record) is False:
        return Node(name, title, "failed", "gate not passed")
    return Node(name, title, "done", _fact(facts, name, record))


def _fact(facts: Facts, name: str, record: Record) -> str:
    scenario = facts.scenario
    if name == "ingest":
        rows = record.rows("events")
        return several(rows, scenario.event, scenario.events) if rows is not None else ""
    if name == "features":
        return f"{len(scenario.features)} per {scenario.event}"
    if name == "train":
        card = record.card() or {}
        return f"{card.get('kind', '')}, {seconds(record.state.steps['train'].seconds)}".strip(", ")
    if name == "evaluate":
        report = record.report("evaluation") or {}
        precision = (report.get("metrics") or {}).get("average_precision")
        return f"AP {precision:.2f}" if precision is not None else "gate passed"
    if name == "register":
        return f"version {(record.report('registration') or {}).get('version', '')}"
    serving = facts.serving
    if serving.canary is not None:
        return f"version {serving.canary}: {share(serving.share)}"
    return f"version {serving.champion} serves" if serving.champion else "nothing serves"


def _next(facts: Facts) -> Next:
    newest, scenario, serving = facts.newest, facts.scenario, facts.serving
    train = "pages/train.py"
    query = {"scenario": scenario.name}
    if newest is None:
        return Next(
            "Runs all six notebooks as they come.",
            "Make a model",
            train,
            query | {"step": "ingest"},
            starts=True,
        )
    query |= {"run": newest.run_id}
    current = newest.state.current
    if newest.state.status in ("queued", "running"):
        return Next("Watch the notebooks run, cell by cell.", "Watch the run", train, query)
    if newest.state.status == "failed" and current:
        return Next(
            "See the cause and what to try.",
            "Look at the failure",
            train,
            query | {"step": current.name},
        )
    if _gate(newest) is False:
        return Next(
            "Read what the gate found.",
            "Read the evaluation",
            train,
            query | {"step": "evaluate"},
        )
    if serving.champion is None:
        first = next((name for name in LIFECYCLE.names if not newest.done(name)), LIFECYCLE.names[-1])
        title = LIFECYCLE.step(first).title.lower()
        return Next(
            f"The next step is to {title}.", "Go on", train, query | {"step": first, "view": "params"}
        )
    if not facts.predictions:
        return Next(
            f"Send {article(scenario.event)} by hand and see its score.",
            "Ask the model",
            "pages/serve.py",
            {"scenario": scenario.name},
        )
    return Next(
        "Try other params; the gate decides.",
        "Train another",
        train,
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
        if evaluated is not None and evaluated.seconds is not None and _gate(record) is not None:
            at = (evaluated.started_at or record.began) + evaluated.seconds
            happened.append((at, "The gate was passed" if _gate(record) else "The gate stopped a model"))
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


def _gate(record: Record) -> bool | None:
    """What the gate said about this run's model; None before it was asked."""
    report = record.report("evaluation")
    return bool(report["gate"]["passed"]) if report and "gate" in report else None
