"""What a workspace holds against the four pains, and what it answers about its champion.

Comes in: a workspace and a scenario. Goes out: facts read from runs, ledger, prediction log and, where they
have been played, monitored days; nothing is drawn here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages.parts import runs_table
from pages.parts.record import Record, newest_records, read_ledger, record_of_version
from pages.parts.words import clock, several
from pipelines import promotion
from pipelines.execution import catalogue
from pipelines.execution.catalogue import Entry
from pipelines.lifecycle import EVENTS
from pipelines.production import ledger
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import prediction_log
from pipelines.workspace import Workspace

LOOKED_AT = 60  # Newest runs whose traces are counted one by one.
COUNTED = 500


@dataclass(frozen=True)
class Held:
    """What is held against one pain: in words, and whether it is anything."""

    words: str
    holds: bool


@dataclass(frozen=True)
class Champion:
    """The version that serves, its run, its ledger row, and its file as it lies on disk."""

    version: int
    record: Record
    entry: Entry
    row: promotion.Promotion | None
    before: int | None
    file: Path


@dataclass(frozen=True)
class Evidence:
    """Everything that Foundations shows of the learner's own."""

    scenario: Scenario
    entries: list[Entry]
    traces: dict[str, int]
    pains: list[Held]
    champion: Champion | None
    predictions: int
    days: list[Any]


def gather(workspace: Workspace, scenario: Scenario) -> Evidence:
    """Look at everything once.

    Raises
    ------
    Damaged, Unavailable, Refused
        The workspace's database can't be read.
    """
    entries = [each for each in catalogue.look(workspace) if each.scenario == scenario.name]
    serving, rows = read_ledger(workspace, scenario.name)
    records = newest_records(workspace, scenario.name)
    predictions = len(prediction_log.recent(workspace, scenario.name, COUNTED))
    days = played(workspace, scenario)
    traces = _traces(workspace, entries[:LOOKED_AT])
    return Evidence(
        scenario,
        entries,
        traces,
        _pains(traces, rows, predictions, days),
        _champion(serving, rows, records, entries),
        predictions,
        days,
    )


def played(workspace: Workspace, scenario: Scenario) -> list[Any]:
    """The days of the world that were played and are priced."""
    return [day for day in ledger.days(workspace, scenario.name) if day.bill is not None]


def questions(scenario: Scenario, champion: Champion) -> list[tuple[str, str, str]]:
    """Six questions, what the lone file answers, and what was recorded."""
    entry, row = champion.entry, champion.row
    rows = champion.record.rows(EVENTS.name)
    card = champion.record.card() or {}
    nothing = "no answer"
    written = time.strftime("%d %b %Y %H:%M", time.localtime(champion.file.stat().st_mtime))
    since = f"since {clock(row.at)}: {row.reason}" if row else "the ledger names it"
    before = (
        f"version {champion.before}: one command" if champion.before else "it is the first: train another"
    )
    data = f"{several(rows, scenario.event, scenario.events)} until day {entry.day}" if rows else ""
    return [
        (
            "Who made it?",
            f"written {written}, or copied then",
            f"run {entry.run_id}, {clock(entry.created_at)}",
        ),
        ("From which data?", nothing, data or "the run names them"),
        ("With which params?", nothing, f"changed from the defaults: {runs_table.changes(entry)}"),
        ("How good is it?", nothing, f"{runs_table.score(entry) or card.get('kind', '')}, gate passed"),
        ("Since when, and why?", nothing, since),
        ("How to go back?", nothing, before),
    ]


def line(found: Evidence) -> list[tuple[str, str]]:
    """The trace of the champion, from data to answers: a stage and its fact."""
    champion = found.champion
    if champion is None:
        return []
    record, entry, scenario = champion.record, champion.entry, found.scenario
    rows = record.rows(EVENTS.name)
    score = runs_table.score(entry)
    stages = [
        (
            "Data",
            f"{several(rows, scenario.event, scenario.events)} until day {entry.day}"
            if rows
            else "collected",
        ),
        ("Run", entry.run_id),
        ("Model", str((record.card() or {}).get("kind", "trained"))),
        ("Gate", f"passed with {score}" if score else "passed"),
        ("Release", f"version {champion.version}" + (f", {clock(champion.row.at)}" if champion.row else "")),
    ]
    many = f"{COUNTED} or more" if found.predictions >= COUNTED else f"{found.predictions}"
    said = f"{many}, each leads back up this line" if found.predictions else "none yet"
    return [*stages, ("Answers", said)]


def _champion(
    serving: promotion.Serving,
    rows: Sequence[promotion.Promotion],
    records: list[Record],
    entries: Sequence[Entry],
) -> Champion | None:
    if serving.champion is None:
        return None
    record = record_of_version(records, serving.champion)
    entry = next((each for each in entries if record and each.run_id == record.run_id), None)
    file = record.folder / "model" / "model.skops" if record else None
    if record is None or entry is None or file is None or not file.is_file():
        return None
    live = [row for row in rows if row.stage == "production"]
    earlier = [row.version for row in live if row.version not in (None, serving.champion)]
    newest = next((row for row in reversed(live) if row.version == serving.champion), None)
    return Champion(serving.champion, record, entry, newest, earlier[-1] if earlier else None, file)


def _traces(workspace: Workspace, entries: Sequence[Entry]) -> dict[str, int]:
    """Of the newest runs that have begun: how many still hold each kind of trace."""
    looked: tuple[tuple[str, Callable[[Path], bool]], ...] = (
        ("all params", lambda folder: (folder / "params.json").is_file()),
        ("code and libraries", lambda folder: (folder / "run.json").is_file()),
        ("the notebook as executed", lambda folder: any(folder.glob("steps/*/attempt-*/notebook.ipynb"))),
        ("their data", lambda folder: (folder / EVENTS.path).is_file()),
    )
    folders = [workspace.runs / each.run_id for each in entries if each.status not in ("queued", "damaged")]
    return {name: sum(holds(folder) for folder in folders) for name, holds in looked} | {"": len(folders)}


def _pains(
    traces: dict[str, int],
    rows: Sequence[promotion.Promotion],
    predictions: int,
    days: Sequence[Any],
) -> list[Held]:
    runs = several(traces[""], "run", "runs")
    one = traces[""] == 1
    made = [row for row in rows if row.source]
    watched = [day for day in days if getattr(day, "alerts", None) is not None]
    answers = (
        several(predictions, "answer", "answers") if predictions < COUNTED else f"{COUNTED} or more answers"
    )
    seen = (
        f"; {several(len(watched), 'day was', 'days were')} watched"
        if watched
        else "; no day was watched yet"
    )
    return [
        Held(
            f"{traces['all params']} of {runs} {'names' if one else 'name'} every param, changed or not.",
            traces["all params"] > 0,
        ),
        Held(
            f"{traces['their data']} of {runs} {'has kept its' if one else 'have kept their'} rows, "
            "known by a digest.",
            traces["their data"] > 0,
        ),
        Held(
            f"{several(len(rows), 'release', 'releases')} in the ledger, each with time and reason; "
            f"{len(made)} made by a run, not by hand.",
            bool(rows),
        ),
        Held(
            f"{answers} logged before {'it was' if predictions == 1 else 'they were'} given{seen}.",
            predictions > 0,
        ),
    ]
