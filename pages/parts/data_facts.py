"""What the Data room tells: what came, whether it is fit, what was repaired, which versions are kept.

Comes in: a workspace, a scenario and a run. Goes out: plain values and words; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pages.parts.launch import start
from pages.parts.record import Record, newest_records, params_of, read_record
from pages.parts.words import clock, plain, several, share
from pipelines import cleaning, validation, versioning
from pipelines.errors import FlightdeckError
from pipelines.lifecycle import LIFECYCLE, VALIDATION
from pipelines.run import Run, read_json
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

DATA_STEPS = ("ingest", "validate", "clean", "version")
VIEWS = {"collect": "Collect", "validate": "Validate", "clean": "Clean", "versions": "Versions"}
STEP_OF = dict(zip(VIEWS, DATA_STEPS, strict=True))
DOING = {"ingest": "collected", "validate": "checked", "clean": "cleaned", "version": "kept"}
A_WEEK = 7

State = Literal["empty", "running", "stopped", "failed", "begun", "full"]


@dataclass(frozen=True)
class Facts:
    """What was found of one run's data, and of all versions."""

    scenario: Scenario
    record: Record | None
    state: State
    report: dict[str, Any] | None
    cleaned: dict[str, Any] | None
    versions: list[versioning.DataVersion]
    problem: FlightdeckError | None = None

    @property
    def checks(self) -> list[validation.Check]:
        """The checks: those that failed first, then those that found something."""
        return validation.checks_of(self.report) if self.report else []

    @property
    def repairs(self) -> list[cleaning.Repair]:
        return cleaning.repairs_of(self.cleaned) if self.cleaned else []

    @property
    def failed(self) -> validation.Check | None:
        """The check that matters first, when one failed."""
        return next((check for check in self.checks if not check.passed), None)

    @property
    def daily(self) -> dict[str, Any]:
        return (self.report or {}).get("daily", {})

    @property
    def step(self) -> str:
        """The first data step that is not done."""
        record = self.record
        return next((name for name in DATA_STEPS if record is None or not record.done(name)), DATA_STEPS[-1])


def look(workspace: Workspace, scenario: Scenario, asked: Record | None = None) -> Facts:
    """Everything that is known of the data: of the run that is asked for, else of the newest that has any."""
    record = asked or _newest(workspace, scenario)
    problem, kept = None, []
    try:
        kept = versioning.versions(workspace, scenario.name)
    except FlightdeckError as error:
        problem = error
    return Facts(
        scenario,
        record,
        _state(record),
        _report(record),
        record.report("cleaning") if record else None,
        kept,
        problem,
    )


def headline(facts: Facts) -> tuple[str, str]:
    """How your data stand, and what matters about it."""
    scenario = facts.scenario
    if facts.state == "empty":
        return "You have no data yet", (
            f"{scenario.question} Collect the {scenario.events} first. What a source sends is not quite what "
            "happened, so they are checked and cleaned before anything learns from them."
        )
    if facts.state == "running":
        return f"Your data are being {DOING[facts.step]}", "What is done already shows below."
    if facts.state == "stopped":
        return "Validation stopped the newest batch", _stopped(facts)
    if facts.state == "failed":
        return f"Your data stopped at: {LIFECYCLE.step(facts.step).title.lower()}", _cause(facts)
    if facts.state == "begun":
        return f"Your {scenario.events} are not all the way yet", (
            f"The next step is to {LIFECYCLE.step(facts.step).title.lower()}."
        )
    return _full(facts)


def _stopped(facts: Facts) -> str:
    check = facts.failed
    if check is None:
        return _cause(facts)
    example = f" On {check.examples[0]}." if check.examples and check.examples[0].row is None else ""
    return plain(f"{check.found}.{example if check.unit == 'days' else ''}") + (
        " Nothing was trained on it; what serves goes on serving."
    )


def _cause(facts: Facts) -> str:
    return plain(facts.record.state.cause or "") if facts.record else ""


def _full(facts: Facts) -> tuple[str, str]:
    scenario, record = facts.scenario, facts.record
    receipt = (record.report("snapshot") if record else None) or {}
    rows, number = receipt.get("rows", 0), receipt.get("version")
    title = f"Version {number} of your data: {several(rows, scenario.event, scenario.events)}"
    broken = sum(not check.passed for check in facts.checks)
    passed = f"{len(facts.checks)} checks passed"
    if broken:
        passed = f"{several(broken, 'check', 'checks')} failed, and you chose to go on"
    before, after = (facts.cleaned or {}).get("rows_before", 0), (facts.cleaned or {}).get("rows_after", 0)
    changed = sum(repair.rows - repair.dropped for repair in facts.repairs if repair.after)
    words = f"{passed}; of {before:,} rows, cleaning left out {before - after:,} and changed "
    words += f"{changed:,}." if changed else "none."
    return title, words


def columns(scenario: Scenario) -> pd.DataFrame:
    """What each column means, with its unit and bounds."""
    rows = [
        ("event_id", f"Names the {scenario.event}.", "", ""),
        ("event_time", f"When it happened, counted from {scenario.start_date}.", "seconds", "from 0"),
        ("label_time", f"When its outcome is known: {scenario.label_delay_days} days later.", "seconds", ""),
    ]
    rows += [(each.name, each.meaning, each.unit, _bounds(each)) for each in scenario.columns]
    rows.append(("label", f"1: {scenario.positive}; 0: not; empty: not known yet.", "", "0 or 1"))
    return pd.DataFrame(rows, columns=["Column", "Meaning", "Unit", "Bounds"]).map(plain)


def _bounds(column: Any) -> str:
    if column.low is None and column.high is None:
        return ", ".join(column.categories)
    if column.high is None:
        return f"from {column.low:,g}"
    return f"{column.low:,g} to {column.high:,g}" if column.low is not None else f"to {column.high:,g}"


def quiet(checks: list[validation.Check]) -> pd.DataFrame:
    """The checks that found nothing, one line a rule."""
    titles = {
        "columns": "Every foreseen column is there, and no other",
        "type": "Each column is of its type",
        "twice": "Each event is sent once",
        "missing": "Nothing is missing",
        "low": "Nothing is below its bound",
        "high": "Nothing is above its bound",
        "category": "Every category is one of those there are",
        "label": "Labels are 0, 1 or not known yet",
        "learned": "Labels come after their events",
        "time": "No event lies outside the days collected",
        "newest": "The newest day is there",
        "volume": "No day has far too many or too few events",
        "median": "No day's median is far from the others'",
        "gap": "No day has too many gaps",
        "rate": "Both outcomes occur, the one looked for more rarely",
    }
    found = [check for check in checks if check.count == 0]
    names = list(dict.fromkeys(check.name for check in found))
    of = {name: [check.column for check in found if check.name == name] for name in names}
    rows = [(titles.get(name, name), ", ".join(filter(None, of[name]))) for name in names]
    return pd.DataFrame(rows, columns=["Rule", "Columns"]).map(plain)


def table(versions: list[versioning.DataVersion]) -> pd.DataFrame:
    """The versions, newest first."""
    rows = [
        (each.number, clock(each.at), f"{each.rows:,}", each.digest[:8], each.note or "—")
        for each in reversed(versions)
    ]
    return pd.DataFrame(rows, columns=["Version", "Kept", "Rows", "Digest", "Note"]).map(plain)


def difference(change: versioning.Comparison, scenario: Scenario) -> str:
    """Two versions compared, in words; of one beside itself, what it holds."""
    if change.before.number == change.after.number:
        words = f"Version {change.after.number} by itself. Take another snapshot later, and see what changed."
        rate = change.rates[1]
        return words if rate is None else f"{words} Of the known labels, {rate:.2%} are {scenario.positive}."
    parts = [
        several(change.rows_added, f"{scenario.event} more", f"{scenario.events} more"),
        f"{change.rows_gone:,} gone",
        f"{change.rows_changed:,} changed",
        f"{several(change.labels_learned, 'label', 'labels')} learned",
    ]
    words = f"From version {change.before.number} to {change.after.number}: {', '.join(parts)}."
    if None not in change.rates:
        before, after = (f"{rate:.2%}" for rate in change.rates)
        words += f" Of the known labels, {before} and {after} are {scenario.positive}."
    return words


# What the buttons start.


def collect(workspace: Workspace, facts: Facts) -> Run:
    """Collect anew and go as far as the last run was meant to go; a source that failed has been mended."""
    record = facts.record
    params = params_of(record)
    params["ingest"] |= {"mishap": "none", "version": 0}
    steps = record.run.steps if record and "ingest" in record.run.steps else DATA_STEPS
    return start(workspace, facts.scenario, params, steps, seed=record.run.seed if record else 1)


def go_on(workspace: Workspace, facts: Facts, *, repair: bool = False) -> Run:
    """Run the data steps that are not done; with `repair`, in spite of a failed check."""
    record = facts.record
    assert record is not None
    params = params_of(record)
    if repair:
        params["validate"] |= {"on_failure": "go on"}
        failed = {check.name for check in facts.checks if not check.passed}
        if "median" in failed:
            params["clean"] |= {"units": "rescale"}
    wanted = set(record.run.steps) | set(DATA_STEPS)
    steps = tuple(name for name in LIFECYCLE.names if name in wanted and not record.done(name))
    return start(workspace, facts.scenario, params, steps, seed=record.run.seed, base=_base(record, steps))


def repair_and_go_on(workspace: Workspace, facts: Facts) -> Run:
    """Go on with a bad batch: cleaning repairs what it can, a hundredfold unit included."""
    return go_on(workspace, facts, repair=True)


def snapshot(workspace: Workspace, facts: Facts) -> Run:
    """A week more of the same world, as a new version."""
    record = facts.record
    params = params_of(record)
    params["ingest"] |= {"until_day": next_day(facts), "mishap": "none", "version": 0}
    return start(workspace, facts.scenario, params, DATA_STEPS, seed=record.run.seed if record else 1)


def train_on(workspace: Workspace, facts: Facts, number: int) -> Run:
    """The whole road on a past version of the data; the world is that of the run that kept it."""
    version = versioning.find_version(workspace, facts.scenario.name, number)
    params, seed = params_of(facts.record), facts.record.run.seed if facts.record else 1
    try:
        kept_by = read_record(workspace, version.run_id)
        params["ingest"], seed = params_of(kept_by)["ingest"], kept_by.run.seed
    except FlightdeckError:
        pass  # Its run was deleted; the rows are the same all the same.
    params["ingest"] |= {"version": number, "mishap": "none"}
    return start(workspace, facts.scenario, params, LIFECYCLE.road, seed=seed)


def next_day(facts: Facts) -> int:
    """Up to which day a new snapshot collects: a week later, or to the end of the world."""
    params = params_of(facts.record)["ingest"]
    return min(int(params["until_day"]) + A_WEEK, facts.scenario.length(params["size"]))


def is_over(facts: Facts) -> bool:
    """Whether the world has no later day."""
    return next_day(facts) <= int(params_of(facts.record)["ingest"]["until_day"])


def _base(record: Record, steps: tuple[str, ...]) -> str | None:
    needs = any(LIFECYCLE.upstream(name) - set(steps) for name in steps)
    return record.run_id if needs else None


def _newest(workspace: Workspace, scenario: Scenario) -> Record | None:
    records = newest_records(workspace, scenario.name)
    of_data = (each for each in records if set(DATA_STEPS) & set(each.run.steps))
    return next(of_data, records[0] if records else None)


def _state(record: Record | None) -> State:
    if record is None:
        return "empty"
    if all(record.done(name) for name in DATA_STEPS):
        return "full"
    if not record.state.finished:
        return "running"
    failed = [name for name, step in record.state.steps.items() if step.status == "failed"]
    if "validate" in failed:
        return "stopped"
    return "failed" if set(failed) & set(DATA_STEPS) else "begun"


def _report(record: Record | None) -> dict[str, Any] | None:
    """The validation's report: of the run, or what a validation that stopped left in its attempt."""
    if record is None:
        return None
    found = record.report("validation")
    if found is not None or record.done("validate"):
        return found
    step = record.state.steps.get("validate")
    attempt = record.folder / "steps" / "validate" / f"attempt-{step.attempt if step else 1}"
    return read_json(attempt / VALIDATION.path)


def share_of(check: validation.Check) -> str:
    """How much of the batch a check found."""
    return share(check.share)
